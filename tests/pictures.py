"""Picture files made by Pillow, for tests that upload."""

import base64
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image


def file_of(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """An encoded file of an image."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(height: int, width: int, channels: int, seed: int = 0) -> np.ndarray:
    """A random picture: uint8 (H, W, C)."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def picture(array: np.ndarray) -> Image.Image:
    """Pillow's image of uint8 (H, W, C)."""
    return Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array)


def pixels_of(file: bytes) -> np.ndarray:
    """The pixels of an image file: uint8 (H, W, C)."""
    image = Image.open(io.BytesIO(file))
    return np.asarray(image).reshape(image.height, image.width, -1)


def base64_body(files: Sequence[bytes]) -> dict[str, list[str]]:
    """The JSON body that carries files."""
    return {"images": [base64.b64encode(file).decode() for file in files]}
