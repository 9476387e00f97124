"""decode_image with the limits of a server, for tests of what it makes of a file."""

import numpy as np

from service.metadata import Preprocessing
from service.vae.images import ImageLimits, check_image

WHOLE = Preprocessing(crop="none")
SQUARE = Preprocessing(crop="square")


def decode(
    content: bytes,
    shape: tuple[int, int, int],
    *,
    preprocessing: Preprocessing = WHOLE,
    media_type: str | None = None,
    max_pixels: int = 16_000_000,
    max_side: int = 8192,
    max_decode_bytes: int = 64 * 2**20,
    param: str | None = None,
) -> np.ndarray:
    """The input that a file becomes: uint8 (H, W, C) for a network of shape (C, H, W)."""
    limits = ImageLimits(max_pixels=max_pixels, max_side=max_side, max_decode_bytes=max_decode_bytes)
    checked = check_image(content, preprocessing, shape, limits=limits, media_type=media_type, param=param)
    return checked.pixels()
