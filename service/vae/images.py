"""Uploaded bytes to the network's input, and images to one contact sheet.

Everything that is wrong with an upload is found here, before it joins a batch.

Shapes: N images, H height, W width, C channels.
"""

import io
import math
import struct

import numpy as np
from PIL import Image, ImageOps

from service.checkpoint import Preprocessing, UInt8Array
from service.errors import BadImage, TooLarge

FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP", "image/bmp": "BMP"}
MODES = {1: "L", 3: "RGB"}
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
        _shrink_while_decoding(image, preprocessing, (width, height))
        image = ImageOps.exif_transpose(image)
        image = _to_mode(image, MODES[channels])
    except DECODE_ERRORS as error:
        raise BadImage(f"the image is damaged: {_first_line(error)}", param=param) from None
    image = crop(image, preprocessing).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(image).reshape(height, width, channels)


def crop(image: Image.Image, preprocessing: Preprocessing) -> Image.Image:
    """The centred part that the network is shown; the whole frame where preprocessing has no crop."""
    if preprocessing.crop == "none":
        return image
    side = _crop_side(image.size, preprocessing)
    left, top = round((image.width - side) / 2), round((image.height - side) / 2)
    return image.crop((left, top, left + side, top + side))


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


def _crop_side(size: tuple[int, int], preprocessing: Preprocessing) -> int:
    shortest = min(size)
    return shortest if isinstance(preprocessing.crop, str) else min(preprocessing.crop, shortest)


def _shrink_while_decoding(image: Image.Image, preprocessing: Preprocessing, size: tuple[int, int]) -> None:
    """Let the JPEG decoder halve a large picture, keeping at least twice the pixels that are needed.

    A crop given in pixels of the original forbids it, since the crop would change.
    """
    if preprocessing.crop in ("none", "square"):
        longest = 2 * max(size)
        image.draft(None, (longest, longest))


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
