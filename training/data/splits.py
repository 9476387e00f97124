"""Training and validation images, held as uint8, and the ways to part or thin out a set."""

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


def evenly_spaced(num_images: int, num_chosen: int) -> Tensor:
    """Indices spread over all images, since neighbours in a folder are often alike: int64 (num_chosen,)."""
    return torch.arange(num_chosen) * num_images // num_chosen


def seeded_split(num_images: int, *, validation_fraction: float, seed: int) -> tuple[list[int], list[int]]:
    """Indices for training and for validation: a permutation by the seed, cut once, each part sorted.

    Both parts have at least one image where there are two or more.
    """
    order = torch.randperm(num_images, generator=torch.Generator().manual_seed(seed)).tolist()
    num_validation = min(max(1, round(num_images * validation_fraction)), num_images - 1)
    return sorted(order[num_validation:]), sorted(order[:num_validation])
