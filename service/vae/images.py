"""Uploaded bytes to the network's input, and images to one contact sheet.

Everything that is wrong with an upload is found here, before it joins a batch.

Shapes: N images, H height, W width, C channels.
"""

import io
import math
import struct
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageOps

from service.checkpoint import Preprocessing, UInt8Array
from service.errors import BadImage, TooLarge

FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP", "image/bmp": "BMP"}
MODES = {1: "L", 3: "RGB"}
ORIENTATION_TAG = 0x0112
# A shrunk picture keeps at least so many pixels for each one needed, along each side.
MIN_SPARE_PIXELS = 4
# What Pillow's decoders raise on damaged files, besides their documented OSError.
DECODE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    OverflowError,
    IndexError,
    KeyError,
)


def decode_image(
    content: bytes,
    preprocessing: Preprocessing,
    image_shape: tuple[int, int, int],
    *,
    media_type: str | None,
    max_pixels: int,
    param: str | None = None,
) -> UInt8Array:
    """Decode one uploaded file and prepare it exactly as training did: crop, bilinear resize, channels.

    EXIF orientation is applied, alpha is flattened on white, palettes, CMYK and 16 bits are
    converted, the first frame of an animation is taken.

    Args:
        content: A PNG, JPEG, WebP or BMP file.
        preprocessing: The checkpoint's own.
        image_shape: (C, H, W) of the network.
        media_type: What the caller says it is, a key of FORMATS; None where nothing was said.
        max_pixels: Of width times height, checked before decoding.
        param: The field to name in errors.

    Returns:
        uint8 (H, W, C), contiguous.

    Raises:
        BadImage: Not a picture, damaged, or of another format than `media_type`.
        TooLarge: More than `max_pixels`.
    """
    image = _open(content, media_type, param)
    if image.width * image.height > max_pixels:
        size = f"{image.width}x{image.height} = {image.width * image.height}"
        raise TooLarge(f"the image has {size} pixels, at most {max_pixels} are allowed", param=param)
    channels, height, width = image_shape
    try:
        box = crop_box(_upright_size(image), preprocessing)
        scale = _shrink_while_decoding(image, box, (width, height))
        ImageOps.exif_transpose(image, in_place=True)
        image = _to_mode(image, MODES[channels])
    except DECODE_ERRORS as error:
        raise BadImage(f"the image is damaged: {_first_line(error)}", param=param) from None
    image = _resized(image, [edge * scale for edge in box], (width, height))
    return np.asarray(image).reshape(height, width, channels)


def crop_box(size: tuple[int, int], preprocessing: Preprocessing) -> tuple[int, int, int, int]:
    """The centred part that the network is shown: left, top, right, bottom in pixels of a picture.

    Args:
        size: Width and height of the picture, upright.
        preprocessing: The checkpoint's own.
    """
    width, height = size
    if preprocessing.crop == "none":
        return 0, 0, width, height
    side = min(size) if preprocessing.crop == "square" else min(preprocessing.crop, *size)
    left, top = round((width - side) / 2), round((height - side) / 2)
    return left, top, left + side, top + side


def contact_sheet(images: UInt8Array) -> UInt8Array:
    """Lay images out row by row on a grid as square as possible, without gaps, the rest white.

    Args:
        images: uint8 (N, H, W, C).

    Returns:
        uint8 (1, rows * H, columns * W, C).
    """
    num, height, width, channels = images.shape
    columns = math.ceil(math.sqrt(num))
    rows = math.ceil(num / columns)
    cells = np.full((rows * columns, height, width, channels), 255, np.uint8)
    cells[:num] = images
    grid = cells.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    return grid.reshape(1, rows * height, columns * width, channels)


def _open(content: bytes, media_type: str | None, param: str | None) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(content), formats=tuple(FORMATS.values()))
    except Image.DecompressionBombError as error:
        raise TooLarge(f"the image has too many pixels: {_first_line(error)}", param=param) from None
    except DECODE_ERRORS:
        kinds = ", ".join(FORMATS)
        raise BadImage(f"not an image of a kind that can be read ({kinds})", param=param) from None
    found = "JPEG" if image.format == "MPO" else image.format
    if media_type is not None and found != FORMATS[media_type]:
        raise BadImage(f"sent as {media_type}, but it is {found}", param=param)
    return image


def _upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height once the EXIF orientation is applied."""
    is_on_its_side = image.getexif().get(ORIENTATION_TAG, 1) >= 5
    return (image.height, image.width) if is_on_its_side else image.size


def _shrink_while_decoding(image: Image.Image, box: Sequence[int], size: tuple[int, int]) -> float:
    """Let the JPEG decoder scale a large picture down by 2, 4 or 8, keeping several times the pixels needed.

    Returns:
        The scale, 1 where nothing is shrunk.
    """
    width, height = image.size
    spare = min((box[2] - box[0]) / size[0], (box[3] - box[1]) / size[1]) / MIN_SPARE_PIXELS
    if image.format not in ("JPEG", "MPO") or spare < 2:
        return 1.0
    image.draft(None, (math.ceil(width / spare), math.ceil(height / spare)))
    return image.width / width


def _resized(image: Image.Image, box: Sequence[float], size: tuple[int, int]) -> Image.Image:
    """Cut the box out and resize it; a box between pixels, as shrinking makes it, is resized in place."""
    if all(edge.is_integer() for edge in box):
        whole = (int(box[0]), int(box[1]), int(box[2]), int(box[3]))
        return image.crop(whole).resize(size, Image.Resampling.BILINEAR)
    inside = (box[0], box[1], min(box[2], image.width), min(box[3], image.height))
    return image.resize(size, Image.Resampling.BILINEAR, box=inside)


def _to_mode(image: Image.Image, mode: str) -> Image.Image:
    if image.mode == mode and not image.has_transparency_data:
        image.load()
        return image
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        image = _scaled_from_16_bits(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert(mode)


def _scaled_from_16_bits(image: Image.Image) -> Image.Image:
    """16-bit grey scaled to 8 bits; Pillow's own conversion would clip at 255."""
    levels = np.asarray(image).astype(np.float64)
    return Image.fromarray(np.clip(np.rint(levels / 257.0), 0, 255).astype(np.uint8))


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0][:120] if str(error) else type(error).__name__
