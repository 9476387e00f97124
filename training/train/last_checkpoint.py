"""`last.ckpt`, from which a run is resumed: saved after each epoch, now and then within, on signals."""

import logging
import signal
import threading
import time
from types import FrameType
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Checkpoint

from training.errors import RunStopped, TrainingDiverged
from training.run_folder import RunFolder

logger = logging.getLogger(__name__)


class LastCheckpoint(Checkpoint):
    """Saves all that a run needs to go on as if it had not been stopped, and never a network that is broken.

    Ctrl-C (SIGINT) and a scheduler's SIGTERM stop the run after the present step, all processes after the
    same one, and after an epoch's last step once it has been validated; a second signal stops it at once.
    Being a checkpoint callback, it comes after all others.

    Args:
        folder: Of the run.
        every_seconds: So often it is saved within an epoch.
    """

    def __init__(self, folder: RunFolder, *, every_seconds: float) -> None:
        self.folder = folder
        self.every_seconds = every_seconds
        self._signal = 0
        self._is_first = True
        self._saved_seconds = time.monotonic()

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start the clock, and take over from Lightning's handlers, which it puts back itself at the end."""
        self._saved_seconds = time.monotonic()
        self._is_first = trainer.is_global_zero
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, self._note)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *_: object
    ) -> None:
        """Save where it is time to; an epoch's last step is left to the end of the epoch.

        Raises:
            RunStopped: A signal came, here or in another process.
        """
        if trainer.is_last_batch:  # resumed from here, Lightning would take the epoch for a validated one
            return
        number, is_due = self._agreed(trainer)
        if number or is_due:
            self._save(trainer)
        if number:
            self._stop(trainer, number)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Save.

        Raises:
            RunStopped: A signal came during the epoch's last step or its validation.
        """
        self._save(trainer)
        number, _ = self._agreed(trainer)
        if number:
            self._stop(trainer, number)

    def on_save_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Look over what this or another callback is about to write.

        Raises:
            TrainingDiverged: In no process it is written, since it has numbers that are not finite.
        """
        states = (checkpoint["state_dict"], checkpoint.get("current_model_state", {}))
        tensors = [value for state in states for value in state.values() if value.is_floating_point()]
        is_finite = bool(torch.stack([tensor.isfinite().all() for tensor in tensors]).all())
        if not trainer.strategy.reduce_boolean_decision(is_finite):
            raise TrainingDiverged(
                f"the network is no longer made of numbers at step {trainer.global_step} "
                f"(epoch {trainer.current_epoch})"
            )

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._signal = number
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if self._is_first:
            logger.warning("stopping after this step; once more to stop at once")

    def _agreed(self, trainer: lightning.Trainer) -> tuple[int, bool]:
        """The signal that came, 0 for none, and whether it is time to save: the same in all processes."""
        is_due = time.monotonic() - self._saved_seconds >= self.every_seconds
        if trainer.world_size == 1:
            return self._signal, is_due
        wishes = torch.tensor([self._signal, int(is_due)], device=trainer.strategy.root_device)
        number, some_are_due = trainer.strategy.reduce(wishes, reduce_op="max").tolist()
        return number, bool(some_are_due)

    def _save(self, trainer: lightning.Trainer) -> None:
        trainer.save_checkpoint(self.folder.last)
        self._saved_seconds = time.monotonic()

    def _stop(self, trainer: lightning.Trainer, number: int) -> None:
        raise RunStopped(
            f"stopped in epoch {trainer.current_epoch + 1}, step {trainer.global_step}, saved as "
            f"{self.folder.last}; go on with: {self.folder.resume_command}",
            signal_number=number,
        )
