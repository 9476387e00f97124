"""The images of a run as Lightning asks for them, once it knows the device and the process."""

import lightning
import torch
from torch import Tensor

from training.config import Config
from training.data.batches import TrainingBatches, ValidationBatches, training_loader, validation_loader
from training.data.order import Share
from training.data.splits import ImageSplits


class RunImages(lightning.LightningDataModule):
    """Loaders for this process's share of the images, on its device.

    They are no DataLoader, so that Lightning leaves their order alone.

    Args:
        splits: Of the run, the same in each process.
        validation: `validation_images` of the splits, uint8 (N, C, H, W).
        config: Of the run.
    """

    def __init__(self, splits: ImageSplits, *, validation: Tensor, config: Config) -> None:
        super().__init__()
        self.splits = splits
        self.validation = validation
        self.config = config

    def train_dataloader(self) -> TrainingBatches:
        """Batches for training."""
        device, share = self._place()
        return training_loader(self.splits, config=self.config, device=device, share=share)

    def val_dataloader(self) -> ValidationBatches:
        """Batches for validation."""
        device, share = self._place()
        return validation_loader(self.validation, config=self.config, device=device, share=share)

    def _place(self) -> tuple[torch.device, Share]:
        assert self.trainer is not None
        return self.trainer.strategy.root_device, Share(self.trainer.global_rank, self.trainer.world_size)
