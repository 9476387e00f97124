"""One picture of any kind -> an input of the network, exactly as the service prepares an upload.

The order is fixed: EXIF orientation, crop, channels (alpha flattened on white), bilinear antialiased resize.
"""

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from service.checkpoint import Preprocessing

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}

UInt8Array = npt.NDArray[np.uint8]


def prepare(
    picture: Image.Image, *, preprocessing: Preprocessing, image_shape: tuple[int, int, int]
) -> UInt8Array:
    """uint8 (C, H, W) of an open picture.

    Raises:
        OSError: The file behind the picture is truncated or damaged.
    """
    num_channels, height, width = image_shape
    picture = ImageOps.exif_transpose(picture)
    picture = _cropped(picture, preprocessing)
    picture = _converted(picture, MODES[num_channels])
    if picture.size != (width, height):
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    pixels = np.asarray(picture, dtype=np.uint8).reshape(height, width, num_channels)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _cropped(picture: Image.Image, preprocessing: Preprocessing) -> Image.Image:
    if preprocessing.crop == "none":
        return picture
    side = min(picture.size)
    if preprocessing.crop != "square":
        side = min(side, preprocessing.crop)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    return picture.crop((left, top, left + side, top + side))


def _converted(picture: Image.Image, mode: str) -> Image.Image:
    if picture.mode.startswith("I"):  # 16 bits: Pillow's own conversion clips instead of scaling
        grey = np.asarray(picture).clip(0, 65535).astype(np.uint16)
        picture = Image.fromarray((grey >> 8).astype(np.uint8))
    if picture.has_transparency_data and not mode.endswith("A"):
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture).convert("RGB")
    return picture if picture.mode == mode else picture.convert(mode)
