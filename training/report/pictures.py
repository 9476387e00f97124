"""Images as pictures of a page: in rows, small ones enlarged pixel by pixel, the gaps transparent.

Shapes: N images, C channels, H height, W width.
"""

import io

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from training.grids import image_grid, without_alpha

MAX_SIDE = 128
ENLARGED_TO = 80
MAX_EXACT_BYTES = 400_000
QUALITY = 90


def picture(images: Tensor, *, columns: int) -> Image.Image:
    """Rows of images with levels as they are, each pixel a square of `enlargement` pixels.

    Args:
        images: uint8 (N, C, H, W); those larger than 128 pixels are shown at 128.
        columns: Images in a row.
    """
    shown = _with_alpha(_not_larger(without_alpha(images)))
    return _enlarged(image_grid(shown, columns=columns, gap_level=0), enlargement(images))


def mosaic(images: Tensor) -> Image.Image:
    """Images (N, C, H, W) in a square without gaps, N being the square of its side."""
    side = round(len(images) ** 0.5)
    cells = _with_alpha(_not_larger(without_alpha(images))).unflatten(0, (side, side))
    return _enlarged(cells.permute(2, 0, 3, 1, 4).flatten(3).flatten(1, 2), enlargement(images))


def enlargement(images: Tensor) -> int:
    """What a pixel of images (N, C, H, W) is multiplied by, so that an image gets about 80."""
    return max(1, round(ENLARGED_TO / max(images.shape[2:])))


def webp_bytes(image: Image.Image) -> bytes:
    """The picture as a WebP file, exact unless that would take more than 400 kB."""
    exact = _webp(image, lossless=True)
    return exact if len(exact) <= MAX_EXACT_BYTES else _webp(image, lossless=False)


def _webp(image: Image.Image, *, lossless: bool) -> bytes:
    file = io.BytesIO()
    image.save(file, "WEBP", lossless=lossless, quality=QUALITY)
    return file.getvalue()


def _enlarged(grid: Tensor, factor: int) -> Image.Image:
    pixels = grid.repeat_interleave(factor, dim=1).repeat_interleave(factor, dim=2)
    return Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())


def _not_larger(images: Tensor) -> Tensor:
    factor = MAX_SIDE / max(images.shape[2:])
    if factor >= 1:
        return images
    size = [max(1, round(side * factor)) for side in images.shape[2:]]
    resized = functional.interpolate(images.float(), size, mode="bilinear", antialias=True)
    return resized.round().clamp(0, 255).to(torch.uint8)


def _with_alpha(images: Tensor) -> Tensor:
    return torch.cat([images, images.new_full((len(images), 1, *images.shape[2:]), 255)], dim=1)
