"""How a picture becomes an input of the network: the part of the checkpoint's contract outside the file.

Training prepares what it learns from with this function, and the service prepares uploads with it, so the
two cannot drift. The order is fixed: EXIF orientation, crop, channels, bilinear antialiased resize.

Shapes: H height, W width, C channels.
"""

import math
import struct

import numpy as np
from PIL import Image

from service.metadata import Preprocessing
from service.scripted import UInt8Array

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
# Colours are mixed in proportion to their alpha.
MIXED_MODES = {"LA": "La", "RGBA": "RGBa"}
# Between two levels of a PNG of 2 and of 4 bits, once they are 8.
GREY_STEPS = {"L;2": 85, "L;4": 17}
ORIENTATION_TAG = 0x0112
SHORT = 3
BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
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
MIRRORED_ACROSS = (2, 3, 7, 8)
MIRRORED_DOWN = (3, 4, 6, 7)
# A picture is converted a strip at a time: of whatever kind it is, it is never in memory twice.
STRIP_PIXELS = 2**16
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
    Image.DecompressionBombError,
)

Size = tuple[int, int]
Box = tuple[float, float, float, float]


def prepare(
    image: Image.Image, box: Box, image_shape: tuple[int, int, int], *, orientation: int
) -> UInt8Array:
    """Turn an open picture of any size and kind upright, crop, convert and resize it.

    Alpha is flattened on white, palettes, CMYK and 16 bits are converted. The pixels are those of one step
    after the other, in little memory: Pillow resizes rows first, each on its own, and so may strips of them.

    Args:
        image: As opened.
        box: Left, top, right, bottom in the upright picture; may lie between two pixels. See crop_box.
        image_shape: (C, H, W) of the network, C from 1 to 4.
        orientation: EXIF's; see exif_orientation.

    Returns:
        uint8 (H, W, C), contiguous.

    Raises:
        OSError: The file behind the picture is truncated or damaged; or another of DECODE_ERRORS.
    """
    num_channels, height, width = image_shape
    load_pixels(image)
    left, top = math.floor(box[0]), math.floor(box[1])
    right, bottom = math.ceil(box[2]), math.ceil(box[3])
    if box == (left, top, left + width, top + height):
        return as_array(
            with_channels(_upright_part(image, (left, top, right, bottom), orientation), num_channels)
        )
    mode = MODES[num_channels]
    mixed = MIXED_MODES.get(mode, mode)
    narrow = Image.new(mixed, (width, bottom - top))
    num_rows = max(1, STRIP_PIXELS // (right - left))
    for start in range(top, bottom, num_rows):
        rows = (left, start, right, min(start + num_rows, bottom))
        strip = with_channels(_upright_part(image, rows, orientation), num_channels).convert(mixed)
        across = (box[0] - left, 0, box[2] - left, strip.height)
        strip = strip.resize((width, strip.height), Image.Resampling.BILINEAR, box=across)
        narrow.paste(strip, (0, start - top))
    down = (0, box[1] - top, width, box[3] - top)
    return as_array(narrow.resize((width, height), Image.Resampling.BILINEAR, box=down).convert(mode))


def load_pixels(image: Image.Image) -> None:
    """Load a picture; what its file calls transparent is put in the same 8 bits as its pixels.

    Pillow leaves that colour of a PNG in the levels of the file, be they of 2, 4 or 16 bits.
    """
    tiles = getattr(image, "tile", None)
    raw_mode = tiles[0].args if tiles else None
    image.load()
    transparent = image.info.get("transparency")
    if raw_mode in GREY_STEPS and isinstance(transparent, int):
        image.info["transparency"] = min(transparent * GREY_STEPS[raw_mode], 255)
    if raw_mode == "RGB;16B" and isinstance(transparent, tuple):
        image.info["transparency"] = tuple(level >> 8 for level in transparent)


def exif_orientation(block: bytes) -> int:
    """The orientation of an EXIF block, 1 to 8; 1, upright, where it is damaged, since the pixels may not be.

    Nothing else of the block is looked at: EXIF is a small file system that can be made to take any time.
    """
    tiff = block.removeprefix(b"Exif\0\0")
    order = BYTE_ORDERS.get(tiff[:4], "")
    try:
        (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
        (num_tags,) = struct.unpack_from(f"{order}H", tiff, directory)
        for index in range(num_tags):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, directory + 2 + 12 * index)
            if tag == ORIENTATION_TAG:
                return value if kind == SHORT and value in TURNS else 1
    except struct.error:
        pass
    return 1


def upright_size(size: Size, orientation: int) -> Size:
    """Width and height once the EXIF orientation is applied."""
    return (size[1], size[0]) if orientation in ON_ITS_SIDE else size


def crop_box(size: Size, preprocessing: Preprocessing) -> tuple[int, int, int, int]:
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


def _upright_part(image: Image.Image, box: tuple[int, int, int, int], orientation: int) -> Image.Image:
    """A part of the picture turned upright, without turning the rest: left, top, right, bottom in it."""
    left, top, right, bottom = box
    if orientation in ON_ITS_SIDE:
        left, top, right, bottom = top, left, bottom, right
    if orientation in MIRRORED_ACROSS:
        left, right = image.width - right, image.width - left
    if orientation in MIRRORED_DOWN:
        top, bottom = image.height - bottom, image.height - top
    part = image.crop((left, top, right, bottom))
    return part.transpose(TURNS[orientation]) if orientation in TURNS else part


def _scaled_from_16_bits(image: Image.Image) -> Image.Image:
    """16-bit grey scaled to 8 bits; Pillow's own conversion would clip at 255."""
    levels = np.asarray(image)
    scaled = Image.fromarray(np.clip(np.rint(levels / 257.0), 0, 255).astype(np.uint8))
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        scaled.putalpha(Image.fromarray(np.where(levels == transparent, 0, 255).astype(np.uint8)))
    return scaled
