"""What happens along a run: a line after each epoch, seeds for each step, a new learning rate."""

import logging
import time

import lightning
import torch

from training.data.order import derived_seed

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
        rate = f"  rate {figures['val/rate']:.2f}" if "val/rate" in figures else ""  # an autoencoder has none
        line = (
            f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
            f"  loss {figures['val/loss']:.2f}  distortion {figures['val/distortion']:.2f}{rate} nats"
            f"  mse {figures['val/mse']:.5f}  ({time.monotonic() - self.started_seconds:.0f} s)"
        )
        bar = trainer.progress_bar_callback
        if bar is None:
            logger.info(line)
        else:
            bar.print(line)


class StepSeeds(lightning.Callback):
    """Seeds the noise of each step by the run's seed, the step and the process.

    So processes draw different noise, and a resumed run draws what it would have drawn.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *_: object
    ) -> None:
        """Seed the generators that the step draws from."""
        seed = derived_seed(self.seed, trainer.global_step, trainer.global_rank)
        torch.default_generator.manual_seed(seed)
        if pl_module.device.type == "cuda":
            torch.cuda.manual_seed(seed)


class LearningRateOfConfig(lightning.Callback):
    """A resumed run takes its config's learning rate, which may be a new one, not that of the checkpoint."""

    def __init__(self, learning_rate: float) -> None:
        self.learning_rate = learning_rate

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Scale what the checkpoint has brought."""
        for schedule in (entry.scheduler for entry in trainer.lr_scheduler_configs):
            ratio = self.learning_rate / schedule.base_lrs[0]
            schedule.base_lrs = [rate * ratio for rate in schedule.base_lrs]
            for group in schedule.optimizer.param_groups:
                group["lr"] *= ratio
