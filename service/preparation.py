"""How a picture becomes an input of the network: the part of the checkpoint's contract outside the file.

Training prepares what it learns from with this function, and the service prepares uploads with it, so the
two cannot drift. The order is fixed: EXIF orientation, crop, channels, bilinear antialiased resize.

Shapes: H height, W width, C channels.
"""

import numpy as np
from PIL import Image, ImageOps

from service.checkpoint import UInt8Array
from service.metadata import Preprocessing

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
ORIENTATION_TAG = 0x0112

Box = tuple[int, int, int, int]


def prepare(
    image: Image.Image, preprocessing: Preprocessing, image_shape: tuple[int, int, int]
) -> UInt8Array:
    """Prepare an open picture of any size and kind.

    Alpha is flattened on white, palettes, CMYK and 16 bits are converted.

    Args:
        image: Changed where its EXIF orientation says so.
        preprocessing: The checkpoint's own.
        image_shape: (C, H, W) of the network, C from 1 to 4.

    Returns:
        uint8 (H, W, C), contiguous.

    Raises:
        OSError: The file behind the picture is truncated or damaged.
    """
    num_channels, height, width = image_shape
    box = crop_box(upright_size(image), preprocessing)
    ImageOps.exif_transpose(image, in_place=True)
    image = with_channels(image.crop(box), num_channels)
    return as_array(image.resize((width, height), Image.Resampling.BILINEAR))


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height once the EXIF orientation is applied."""
    is_on_its_side = image.getexif().get(ORIENTATION_TAG, 1) >= 5
    return (image.height, image.width) if is_on_its_side else image.size


def crop_box(size: tuple[int, int], preprocessing: Preprocessing) -> Box:
    """The centred part that the network is shown: left, top, right, bottom in pixels.

    Args:
        size: Width and height of the picture, upright.
        preprocessing: The checkpoint's own.
    """
    width, height = size
    if preprocessing.crop == "none":
        return 0, 0, width, height
    side = min(size) if preprocessing.crop == "square" else min(preprocessing.crop, *size)
    # Rounded to the even number, as torchvision's CenterCrop does it.
    left, top = round((width - side) / 2), round((height - side) / 2)
    return left, top, left + side, top + side


def with_channels(image: Image.Image, num_channels: int) -> Image.Image:
    """Convert to 8 bits and 1 to 4 channels, alpha flattened on white where the result has none."""
    mode = MODES[num_channels]
    if image.mode.startswith("I") or image.mode == "F":
        image = _scaled_from_16_bits(image)
    if image.has_transparency_data and not mode.endswith("A"):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image if image.mode == mode else image.convert(mode)


def as_array(image: Image.Image) -> UInt8Array:
    """Pixels as uint8 (H, W, C)."""
    return np.asarray(image).reshape(image.height, image.width, -1)


def _scaled_from_16_bits(image: Image.Image) -> Image.Image:
    """16-bit grey scaled to 8 bits; Pillow's own conversion would clip at 255."""
    levels = np.asarray(image).astype(np.float64)
    return Image.fromarray(np.clip(np.rint(levels / 257.0), 0, 255).astype(np.uint8))
