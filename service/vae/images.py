"""Uploaded bytes to the network's input, and images to one contact sheet.

Everything that is wrong with an upload is found here, before it joins a batch.

Shapes: N images, H height, W width, C channels.
"""

import io
import math

import numpy as np
from PIL import Image

from service.checkpoint import UInt8Array
from service.errors import BadImage, TooLarge
from service.metadata import Preprocessing
from service.preparation import (
    DECODE_ERRORS,
    as_array,
    crop_box,
    prepare,
    upright,
    upright_size,
    with_channels,
)

FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP", "image/bmp": "BMP"}
JPEG_FORMATS = ("JPEG", "MPO")
# A shrunk picture keeps at least so many pixels for each one needed, along each side.
MIN_SPARE_PIXELS = 4


def decode_image(
    content: bytes,
    preprocessing: Preprocessing,
    image_shape: tuple[int, int, int],
    *,
    media_type: str | None,
    max_pixels: int,
    param: str | None = None,
) -> UInt8Array:
    """Decode one uploaded file and prepare it as training did; the first frame of an animation is taken.

    The pixels are those of service.preparation, but for a JPEG with many times the pixels needed, which
    is shrunk while it is decoded: those may differ by 3 levels.

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
    try:
        if image.format in JPEG_FORMATS:
            return _prepare_shrunk(image, preprocessing, image_shape)
        return prepare(image, preprocessing, image_shape)
    except DECODE_ERRORS as error:
        raise BadImage(f"the image is damaged: {_first_line(error)}", param=param) from None


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
    found = "JPEG" if image.format in JPEG_FORMATS else image.format
    if media_type is not None and found != FORMATS[media_type]:
        raise BadImage(f"sent as {media_type}, but it is {found}", param=param)
    return image


def _prepare_shrunk(
    image: Image.Image, preprocessing: Preprocessing, image_shape: tuple[int, int, int]
) -> UInt8Array:
    """Prepare a JPEG, which the decoder can scale by 1/2, 1/4 or 1/8 for a fraction of the time.

    The crop stays where it is in the whole picture, even between two pixels of the shrunk one.
    """
    num_channels, height, width = image_shape
    left, top, right, bottom = crop_box(upright_size(image), preprocessing)
    spare = min((right - left) / width, (bottom - top) / height) / MIN_SPARE_PIXELS
    if spare < 2:
        return prepare(image, preprocessing, image_shape)
    full_width = image.width
    image.draft(None, (math.ceil(image.width / spare), math.ceil(image.height / spare)))
    scale = 1 / round(full_width / image.width)  # the decoder's own; the size of its result is rounded up
    image = upright(image)
    box = (left * scale, top * scale, min(right * scale, image.width), min(bottom * scale, image.height))
    outer = (math.floor(box[0]), math.floor(box[1]), math.ceil(box[2]), math.ceil(box[3]))
    inner = (box[0] - outer[0], box[1] - outer[1], box[2] - outer[0], box[3] - outer[1])
    image = with_channels(image.crop(outer), num_channels)
    return as_array(image.resize((width, height), Image.Resampling.BILINEAR, box=inner))


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0][:120] if str(error) else type(error).__name__
