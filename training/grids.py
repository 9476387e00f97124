"""Images of one size laid out in rows, their levels as they are: no contrast is stretched.

Shapes: N images, C channels, H height, W width.
"""

import torch
from torch import Tensor
from torch.nn import functional

GAP_PIXELS = 2
GREY = 128


def image_grid(images: Tensor, *, columns: int, gap_level: int = GREY) -> Tensor:
    """Rows of `columns` images with gaps of two pixels between and around them.

    Args:
        images: uint8 (N, C, H, W).
        columns: Images in a row; the last row may have fewer.
        gap_level: Of every channel in the gaps, and where the last row has no image.

    Returns:
        uint8 (C, rows * (H + 2) + 2, columns * (W + 2) + 2).
    """
    missing = images.new_full((-len(images) % columns, *images.shape[1:]), gap_level)
    cells = functional.pad(torch.cat([images, missing]), (0, GAP_PIXELS) * 2, value=gap_level)
    rows = cells.unflatten(0, (-1, columns)).permute(2, 0, 3, 1, 4)  # C, row, H + 2, column, W + 2
    return functional.pad(rows.flatten(3).flatten(1, 2), (GAP_PIXELS, 0) * 2, value=gap_level)


def paired_rows(images: Tensor, reconstructions: Tensor, *, columns: int) -> Tensor:
    """The order in which `image_grid` shows each row of images above the row of their reconstructions.

    Args:
        images: uint8 (N, C, H, W).
        reconstructions: The same shape.
        columns: Images in a row.

    Returns:
        uint8 (2 N with N rounded up to whole rows, C, H, W); what the last rows lack is zero.
    """
    missing = images.new_zeros((-len(images) % columns, *images.shape[1:]))
    above, below = (
        torch.cat([part, missing]).unflatten(0, (-1, columns)) for part in (images, reconstructions)
    )
    return torch.stack([above, below], dim=1).flatten(0, 2)


def without_alpha(images: Tensor) -> Tensor:
    """Grey or colour alone, (N, 1 or 3, H, W), of images with 1 to 4 channels."""
    return images[:, :-1] if images.shape[1] in (2, 4) else images
