"""How a picture becomes an input of the network: the part of the checkpoint's contract outside the file.

Training prepares what it learns from with this function, and the service prepares uploads with it, so the
two cannot drift. The order is fixed: EXIF orientation, crop, channels, bilinear antialiased resize.

Shapes: H height, W width, C channels.
"""

import struct

import numpy as np
from PIL import Image

from service.checkpoint import UInt8Array
from service.metadata import Preprocessing

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
ORIENTATION_TAG = 0x0112
# How each EXIF orientation is turned upright; any other value means that it is.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
ON_ITS_SIDE = (5, 6, 7, 8)
# What Pillow raises on damaged files, besides its documented OSError.
DECODE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    EOFError,
    ArithmeticError,
    MemoryError,
    struct.error,
)

Box = tuple[int, int, int, int]


def prepare(
    image: Image.Image, preprocessing: Preprocessing, image_shape: tuple[int, int, int]
) -> UInt8Array:
    """Prepare an open picture of any size and kind.

    Alpha is flattened on white, palettes, CMYK and 16 bits are converted.

    Args:
        image: As opened.
        preprocessing: The checkpoint's own.
        image_shape: (C, H, W) of the network, C from 1 to 4.

    Returns:
        uint8 (H, W, C), contiguous.

    Raises:
        OSError: The file behind the picture is truncated or damaged; or another of DECODE_ERRORS.
    """
    num_channels, height, width = image_shape
    image.load()  # so that damage is noticed here, and not passed over with the EXIF block
    box = crop_box(upright_size(image), preprocessing)
    image = with_channels(upright(image).crop(box), num_channels)
    return as_array(image.resize((width, height), Image.Resampling.BILINEAR))


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height once the EXIF orientation is applied."""
    return (image.height, image.width) if _orientation(image) in ON_ITS_SIDE else image.size


def upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation, and nothing else of EXIF."""
    turn = TURNS.get(_orientation(image))
    return image if turn is None else image.transpose(turn)


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


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; upright where the EXIF block is damaged, since the pixels may not be."""
    try:
        value = image.getexif().get(ORIENTATION_TAG)
    except DECODE_ERRORS:
        return 1
    return value if isinstance(value, int) else 1


def _scaled_from_16_bits(image: Image.Image) -> Image.Image:
    """16-bit grey scaled to 8 bits; Pillow's own conversion would clip at 255."""
    levels = np.asarray(image).astype(np.float64)
    return Image.fromarray(np.clip(np.rint(levels / 257.0), 0, 255).astype(np.uint8))
