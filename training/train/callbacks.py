"""What a person sees of a run: a line after each epoch, and where an interrupted one was saved."""

import logging
import time

import lightning

from training.train.run_folder import RunFolder

logger = logging.getLogger(__name__)


class EpochReport(lightning.Callback):
    """One line after each epoch: the objective, its two parts in nats, and the error of the pixels."""

    def __init__(self) -> None:
        self.started_seconds = time.monotonic()

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start the clock."""
        self.started_seconds = time.monotonic()

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Print the line above the progress bar."""
        figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if not trainer.is_global_zero or "val/loss" not in figures:
            return
        line = (
            f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
            f"  loss {figures['val/loss']:.2f}  distortion {figures['val/distortion']:.2f}"
            f"  rate {figures['val/rate']:.2f} nats  mse {figures['val/mse']:.5f}"
            f"  ({time.monotonic() - self.started_seconds:.0f} s)"
        )
        bar = trainer.progress_bar_callback
        if bar is None:
            logger.info(line)
        else:
            bar.print(line)


class SaveWhenInterrupted(lightning.Callback):
    """On Ctrl-C the present state becomes `last.ckpt`, so that not even part of an epoch is lost."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        """Save, if it was a person who stopped the run and there is something to save."""
        if isinstance(exception, KeyboardInterrupt) and trainer.global_step > 0:
            trainer.save_checkpoint(self.folder.last)
