"""Sliced Wasserstein distance between two sets of images: of their patches in every level of a pyramid.

As in Karras et al. 2018 (arXiv 1710.10196, section 5), with one change: patches of both sets are normalized
by the mean and the standard deviation of the real ones, so that a wrong brightness or contrast counts.

Shapes: N images, C channels, H height, W width, P patches, F numbers in each, K directions.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training.lightning_module import as_unit_range

PATCH_SIDE = 7
SMALLEST_SIDE = 14  # of the coarsest level: two patches a side
NUM_PATCHES = 2**15  # of each level, spread evenly over the images
MAX_PATCHES_OF_AN_IMAGE = 128
NUM_DIRECTIONS = 256
DIRECTIONS_AT_A_TIME = 32
IMAGES_AT_A_TIME = 512
BLUR = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


def image_distance(real: Tensor, other: Tensor, *, seed: int, num_patches: int = NUM_PATCHES) -> float:
    """Mean over the levels of the patches' distance, in standard deviations of the real patches' pixels.

    Args:
        real: uint8 (N, C, H, W).
        other: As many images of the same shape.
        seed: Of the patches' places, the same in both sets, and of the directions.
        num_patches: Of each level of each set, at most.
    """
    distances = []
    levels = (pyramid_patches(images, num_patches=num_patches, seed=seed) for images in (real, other))
    for first, second in zip(*levels, strict=True):
        mean = first.mean(dim=(0, 2), keepdim=True)
        deviation = first.std(dim=(0, 2), keepdim=True).clamp_min(1e-6)
        normalized = [((patches - mean) / deviation).flatten(1) for patches in (first, second)]
        distances.append(sliced_wasserstein(*normalized, num_directions=NUM_DIRECTIONS, seed=seed))
    return sum(distances) / len(distances)


def sliced_wasserstein(first: Tensor, second: Tensor, *, num_directions: int, seed: int) -> float:
    """Mean over random directions u of the 1-Wasserstein distance between two projected sets.

    In one dimension it is the mean difference of the sorted numbers. Source: Rabin, Peyré, Delon & Bernot
    2011, "Wasserstein barycenter and its application to texture mixing".

    Args:
        first: (P, F).
        second: (P, F).
        num_directions: K.
        seed: Of the directions.
    """
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(num_directions, first.shape[1], generator=generator)
    total = 0.0
    for some in functional.normalize(directions, dim=1).split(DIRECTIONS_AT_A_TIME):
        # NumPy sorts several times as fast as PyTorch does on a CPU.
        projected = [np.sort((some @ points.T).numpy(), axis=1) for points in (first, second)]
        total += float(np.abs(projected[0] - projected[1]).mean(axis=1, dtype=np.float64).sum())
    return total / num_directions


def pyramid_patches(images: Tensor, *, num_patches: int, seed: int) -> list[Tensor]:
    """Patches (P, C, F) of each level of uint8 images (N, C, H, W), finest first, at places by the seed."""
    generator = torch.Generator().manual_seed(seed)
    num_each = min(max(1, num_patches // len(images)), MAX_PATCHES_OF_AN_IMAGE)
    batches = [
        [_patches(level, num_each, generator=generator) for level in laplacian_pyramid(as_unit_range(batch))]
        for batch in images.split(IMAGES_AT_A_TIME)
    ]
    return [torch.cat(level).cpu() for level in zip(*batches, strict=True)]


def laplacian_pyramid(images: Tensor) -> list[Tensor]:
    """Details of each resolution, finest first, and what is left, of images (N, C, H, W).

    Their sum, each level enlarged to the size of the next finer one, is the images (Burt & Adelson 1983).
    """
    levels = []
    while min(images.shape[2:]) >= 2 * SMALLEST_SIDE:
        coarse = _blurred(images)[:, :, ::2, ::2]
        levels.append(images - enlarged(coarse, images.shape[2:]))
        images = coarse
    return [*levels, images]


def enlarged(images: Tensor, size: torch.Size) -> Tensor:
    """Images (N, C, h, w) of a level at the size (H, W) of the next finer one."""
    return functional.interpolate(images, size=tuple(size), mode="bilinear", align_corners=False)


def _blurred(images: Tensor) -> Tensor:
    num_channels = images.shape[1]
    row = torch.tensor(BLUR, device=images.device)
    kernel = torch.outer(row, row).expand(num_channels, 1, -1, -1)
    padded = functional.pad(images, (2, 2, 2, 2), mode="reflect")
    return functional.conv2d(padded, kernel, groups=num_channels)


def _patches(images: Tensor, num_patches: int, *, generator: torch.Generator) -> Tensor:
    """So many square patches of each image: (N num_patches, C, F)."""
    side = min(PATCH_SIDE, *images.shape[2:])
    windows = images.unfold(2, side, 1).unfold(3, side, 1)
    shape = (len(images), num_patches)
    rows, columns = (torch.randint(windows.shape[dim], shape, generator=generator) for dim in (2, 3))
    owners = torch.arange(len(images))[:, None]
    return windows[owners, :, rows, columns].flatten(3).flatten(0, 1)
