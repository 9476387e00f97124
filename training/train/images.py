"""The images of a run as Lightning asks for them, once it knows the device and the process."""

import lightning
import torch

from training.config import Config
from training.data.batches import (
    TrainingBatches,
    ValidationBatches,
    training_loader,
    validation_images,
    validation_loader,
)
from training.data.order import Share
from training.data.splits import ImageSplits


class RunImages(lightning.LightningDataModule):
    """Loaders for this process's share of the images, on its device.

    They are no DataLoader, so that Lightning leaves their order alone.

    Args:
        splits: Of the run, the same in each process.
        config: Of the run.

    Attributes:
        validation: `validation_images` of the splits, uint8 (N, C, H, W).
    """

    def __init__(self, splits: ImageSplits, *, config: Config) -> None:
        super().__init__()
        self.splits = splits
        self.validation = validation_images(splits, config=config)
        self.config = config
        self._training: TrainingBatches | None = None
        self._resumed: dict[str, int] = {}

    def train_dataloader(self) -> TrainingBatches:
        """Batches for training; those that a resumed run has not taken yet."""
        device, share = self._place()
        self._training = training_loader(self.splits, config=self.config, device=device, share=share)
        if self._resumed:
            self._training.load_state_dict(self._resumed)
        return self._training

    def val_dataloader(self) -> ValidationBatches:
        """Batches for validation."""
        device, share = self._place()
        return validation_loader(self.validation, config=self.config, device=device, share=share)

    # Lightning would keep the loader's state too, but forgets to restore it where the optimizer has asked for
    # the number of steps before.

    def state_dict(self) -> dict[str, int]:
        """How far the epoch has come."""
        return {} if self._training is None else self._training.state_dict()

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Keep where the stopped run was until the loader is asked for."""
        self._resumed = state

    def _place(self) -> tuple[torch.device, Share]:
        assert self.trainer is not None
        return self.trainer.strategy.root_device, Share(self.trainer.global_rank, self.trainer.world_size)
