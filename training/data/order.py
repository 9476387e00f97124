"""In what order the images of an epoch are taken, and by which process: each of them exactly once."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from training.errors import DataError


class Share(NamedTuple):
    """One of the processes that train together, and how many there are."""

    rank: int = 0
    num_processes: int = 1


ALONE = Share()


class EpochOrder:
    """A permutation of all images an epoch, from the seed and the epoch, cut into batches for all processes.

    Batches are as equal in size as can be, and none is larger than asked for: 100 images in batches of 64 are
    two of 50. So nothing is left out, nothing is seen twice, and no batch is too small for BatchNorm. Only
    where single images do not divide among the processes, some take two at a time.
    All depends on the seed and the epoch alone, so that a resumed run goes on as if it had not been stopped.

    Args:
        num_images: Of the whole set.
        batch_size: The most images of a batch, in one process.
        share: Whose batches `batches` gives.
        seed: Of the run.

    Raises:
        DataError: There are fewer images than processes.
    """

    def __init__(self, num_images: int, *, batch_size: int, share: Share, seed: int) -> None:
        if num_images < share.num_processes:
            raise DataError(
                f"{num_images} training images cannot be shared by {share.num_processes} processes: "
                f"use --devices {num_images} at most, or more images"
            )
        self.num_images = num_images
        wanted = math.ceil(num_images / (batch_size * share.num_processes))
        self.num_batches = min(wanted, num_images // share.num_processes)  # so that none is empty
        self.share = share
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes; Lightning does, before it takes the first batch."""
        self.epoch = epoch

    def batches(self) -> tuple[Tensor, ...]:
        """Indices of the images of each batch of this process, int64 each."""
        generator = torch.Generator().manual_seed(derived_seed(self.seed, self.epoch))
        order = torch.randperm(self.num_images, generator=generator)
        parts = order.tensor_split(self.num_batches * self.share.num_processes)
        return parts[self.share.rank :: self.share.num_processes]

    def batch_seed(self, batch_index: int) -> int:
        """What the flips and binary pixels of one batch of this epoch and process are drawn by."""
        return derived_seed(self.seed, self.epoch, batch_index, self.share.rank)


def derived_seed(*parts: int) -> int:
    """One seed of several numbers; any other numbers give another, independent one (numpy's SeedSequence)."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0])
