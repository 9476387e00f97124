"""Training and validation images, held as uint8, and the seeded way to part one set into two."""

import dataclasses

import torch
from torch import Tensor


@dataclasses.dataclass(frozen=True)
class ImageSplits:
    """What a run trains on and what it is judged by; no image is in both.

    Attributes:
        train: uint8 (N, C, H, W).
        validation: uint8 (M, C, H, W).
    """

    train: Tensor
    validation: Tensor


def seeded_split(num_images: int, *, validation_fraction: float, seed: int) -> tuple[list[int], list[int]]:
    """Indices for training and for validation: a permutation by the seed, cut once, each part sorted.

    Both parts have at least one image where there are two or more.
    """
    order = torch.randperm(num_images, generator=torch.Generator().manual_seed(seed)).tolist()
    num_validation = min(max(1, round(num_images * validation_fraction)), num_images - 1)
    return sorted(order[num_validation:]), sorted(order[:num_validation])
