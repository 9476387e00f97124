"""uint8 splits -> batches for Lightning, with flips and binarization drawn where they belong."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from training.config import Config
from training.data.splits import ImageSplits


class TrainingImages(Dataset[Tensor]):
    """Images that are flipped (half of them, at random) or binarized anew each time they are used.

    A batch is read with one indexing operation instead of one for each image.

    Args:
        images: uint8 (N, C, H, W).
        flip: Mirror each image left to right with probability 1/2.
        binarize: Draw each pixel as 0 or 255, the grey value being its probability of 255.
    """

    def __init__(self, images: Tensor, *, flip: bool, binarize: bool) -> None:
        self.images = images
        self.flip = flip
        self.binarize = binarize

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> Tensor:
        """uint8 (B, C, H, W)."""
        images = self.images[torch.as_tensor(indices)]
        if self.flip:
            chosen = torch.rand(len(images)) < 0.5
            images = torch.where(chosen[:, None, None, None], images.flip(3), images)
        if self.binarize:
            images = binarized(images)
        return images


def binarized(images: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Pixels drawn as 0 or 255 with the grey value as probability of 255; uint8 in and out."""
    return torch.where(torch.rand(images.shape, generator=generator) * 255 < images, 255, 0).to(torch.uint8)


def validation_images(splits: ImageSplits, *, config: Config) -> Tensor:
    """uint8 (M, C, H, W): never flipped, and binarized once, by the seed."""
    if not config.data.binarize:
        return splits.validation
    return binarized(splits.validation, generator=torch.Generator().manual_seed(config.seed))


def training_loader(splits: ImageSplits, *, config: Config) -> DataLoader[Tensor]:
    """Shuffled batches; the last, smaller one is left out, since BatchNorm cannot take a batch of one."""
    dataset = TrainingImages(splits.train, flip=config.data.flip, binarize=config.data.binarize)
    batch_size = min(config.optimizer.batch_size, len(dataset))
    return DataLoader(
        dataset,
        batch_size=batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=config.machine.workers,
        persistent_workers=config.machine.workers > 0,
        collate_fn=_as_is,
    )


def validation_loader(images: Tensor, *, config: Config) -> DataLoader[Tensor]:
    """Batches of `validation_images`, in order."""
    dataset = TrainingImages(images, flip=False, binarize=False)
    return DataLoader(dataset, batch_size=4 * config.optimizer.batch_size, collate_fn=_as_is)


def _as_is(batch: Any) -> Any:  # noqa: ANN401
    return batch
