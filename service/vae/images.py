"""Uploaded bytes to the network's input, and images to one contact sheet.

Everything that is wrong with an upload is found here, before it joins a batch.

Shapes: N images, H height, W width, C channels.
"""

import dataclasses
import io
import math
import re
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image

from service.errors import BadImage, TooLarge
from service.metadata import Preprocessing
from service.preparation import DECODE_ERRORS, Box, crop_box, prepare, upright_size, with_channels
from service.scripted import UInt8Array
from service.vae.formats.bmp import bmp_parts
from service.vae.formats.jpeg import jpeg_parts
from service.vae.formats.parts import Damaged, Parts
from service.vae.formats.png import png_parts
from service.vae.formats.webp import webp_parts

FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP", "image/bmp": "BMP"}
PARTS: Mapping[str, Callable[[bytes], Parts]] = {
    "PNG": png_parts,
    "JPEG": jpeg_parts,
    "WEBP": webp_parts,
    "BMP": bmp_parts,
}
SIGNATURE = re.compile(
    rb"(?P<PNG>\x89PNG\r\n\x1a\n)|(?P<JPEG>\xff\xd8\xff)|(?P<WEBP>RIFF.{4}WEBP)|(?P<BMP>BM)", re.DOTALL
)
PIXEL_BYTES = 4
LOSSY_QUALITY = 90
# A JPEG can be shrunk so many times while it is decoded, for a fraction of the time.
SHRINKS = (8, 4, 2)
# A shrunk picture keeps at least so many pixels for each one needed, along each side.
MIN_SPARE_PIXELS = 4


@dataclasses.dataclass(frozen=True)
class ImageLimits:
    """What one uploaded image may have; all are checked before a pixel is decoded.

    Attributes:
        max_pixels: Width times height.
        max_side: The longer of width and height, in pixels.
        max_decode_bytes: What decoding may take at most, besides copies of the file.
    """

    max_pixels: int
    max_side: int
    max_decode_bytes: int


@dataclasses.dataclass(frozen=True)
class CheckedImage:
    """An uploaded file whose header was read and is within the limits; its pixels are still to be decoded.

    Attributes:
        kind: A format, as Pillow names it.
        parts: Of the file.
        shrink: How many times smaller it is decoded.
        box: Left, top, right, bottom of what the network is shown, in the whole picture upright.
        image_shape: (C, H, W) of the network.
        param: The field to name in errors.
    """

    kind: str
    parts: Parts
    shrink: int
    box: Box
    image_shape: tuple[int, int, int]
    param: str | None

    @property
    def decode_bytes(self) -> int:
        """What decoding may take, beside copies of the file."""
        return _decode_bytes(self.parts, self.shrink)

    def pixels(self) -> UInt8Array:
        """Decode it and prepare it as training did: uint8 (H, W, C), contiguous.

        The pixels are those of service.preparation, but for a JPEG with many times the pixels needed, which
        is shrunk while it is decoded: those may differ by 3 levels.

        Raises:
            BadImage: Damaged.
        """
        try:
            return _decode(self.parts, self.kind, self.shrink, self.box, self.image_shape)
        except DECODE_ERRORS as error:
            raise _damaged(error, self.param) from None


def check_image(
    content: bytes,
    preprocessing: Preprocessing,
    image_shape: tuple[int, int, int],
    *,
    limits: ImageLimits,
    media_type: str | None,
    param: str | None = None,
) -> CheckedImage:
    """Read the header of one uploaded file; of an animation the first frame is taken.

    Args:
        content: A PNG, JPEG, WebP or BMP file.
        preprocessing: The checkpoint's own.
        image_shape: (C, H, W) of the network.
        limits: Of the image.
        media_type: What the caller says it is, a key of FORMATS; None where nothing was said.
        param: The field to name in errors.

    Raises:
        BadImage: Not a picture, damaged, or of another format than `media_type`.
        TooLarge: Over one of the limits.
    """
    kind = _kind(content, media_type, param)
    try:
        parts = PARTS[kind](content)
        box = crop_box(upright_size(parts.size, parts.orientation), preprocessing)
        shrink = _shrink(box, image_shape) if kind == "JPEG" else 1
        _check_size(parts, shrink, limits, param)
    except DECODE_ERRORS as error:
        raise _damaged(error, param) from None
    return CheckedImage(kind, parts, shrink, box, image_shape, param)


def prepare_pixels(
    pixels: UInt8Array,
    preprocessing: Preprocessing,
    image_shape: tuple[int, int, int],
    *,
    limits: ImageLimits,
    param: str | None = None,
) -> UInt8Array:
    """Prepare an image that came as an array, as CheckedImage.pixels does one that came as a file.

    Args:
        pixels: uint8 (H, W, C), C from 1 to 4.
        preprocessing: The checkpoint's own.
        image_shape: (C, H, W) of the network.
        limits: Of the image.
        param: The field to name in errors.

    Returns:
        uint8 (H, W, C), as the network takes it.

    Raises:
        TooLarge: Over one of the limits.
    """
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    _check_size(Parts(b"", picture.size, "an array"), 1, limits, param)
    return prepare(picture, crop_box(picture.size, preprocessing), image_shape, orientation=1)


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


def encode_lossy(image: UInt8Array, kind: str) -> bytes:
    """Encode one image as JPEG or WebP, at quality 90; alpha, which JPEG has not, is laid on white.

    Args:
        image: uint8 (H, W, C), C from 1 to 4.
        kind: "JPEG" or "WEBP".
    """
    channels = image.shape[-1]
    picture = Image.fromarray(image[..., 0] if channels == 1 else image)
    buffer = io.BytesIO()
    with_channels(picture, 1 if channels < 3 else 3).save(buffer, kind, quality=LOSSY_QUALITY)
    return buffer.getvalue()


def _kind(content: bytes, media_type: str | None, param: str | None) -> str:
    """The format that a file's first bytes say, which must be what the caller said."""
    found = SIGNATURE.match(content)
    if not content:
        raise BadImage("the file is empty", param=param)
    if found is None:
        raise BadImage(f"not an image of a kind that can be read ({', '.join(FORMATS)})", param=param)
    kind = str(found.lastgroup)
    if media_type is not None and kind != FORMATS[media_type]:
        media_types = {kind: media_type for media_type, kind in FORMATS.items()}
        problem = f"sent as {media_type}, but it is {kind}: send it as {media_types[kind]}"
        raise BadImage(problem, param=param)
    return kind


def _check_size(parts: Parts, shrink: int, limits: ImageLimits, param: str | None) -> None:
    width, height = parts.size
    if min(parts.size) < 1:
        raise Damaged(f"it is {width}x{height} pixels")
    decode_bytes = _decode_bytes(parts, shrink)
    if max(parts.size) > limits.max_side:
        problem = f"the image is {width}x{height} pixels, at most {limits.max_side} a side are allowed"
    elif width * height > limits.max_pixels:
        num_pixels = f"{width}x{height} = {width * height} pixels"
        problem = f"the image has {num_pixels}, at most {limits.max_pixels} are allowed"
    elif decode_bytes > limits.max_decode_bytes:
        needed = f"{parts.description} of {width}x{height} pixels may take {decode_bytes} bytes to decode"
        problem = f"{needed}, at most {limits.max_decode_bytes} are allowed: send a smaller one, or PNG"
    else:
        return
    raise TooLarge(problem, param=param)


def _decode_bytes(parts: Parts, shrink: int) -> int:
    width, height = parts.size
    return parts.extra_bytes + math.ceil(width / shrink) * math.ceil(height / shrink) * PIXEL_BYTES


def _decode(parts: Parts, kind: str, shrink: int, box: Box, image_shape: tuple[int, int, int]) -> UInt8Array:
    image = Image.open(io.BytesIO(parts.file), formats=(kind,))
    if image.size != parts.size:
        raise Damaged("it has two sizes")
    if shrink > 1:
        image.draft(None, (image.width // shrink, image.height // shrink))
        width, height = upright_size(image.size, parts.orientation)  # rounded up by the decoder
        left, top, right, bottom = (edge / shrink for edge in box)
        # The crop stays where it is in the whole picture, even between two pixels of the shrunk one.
        box = (left, top, min(right, width), min(bottom, height))
    return prepare(image, box, image_shape, orientation=parts.orientation)


def _shrink(box: Box, image_shape: tuple[int, int, int]) -> int:
    """How many times smaller a picture may be decoded that is cropped to a box."""
    _, height, width = image_shape
    left, top, right, bottom = box
    spare = min((right - left) / width, (bottom - top) / height) / MIN_SPARE_PIXELS
    return next((shrink for shrink in SHRINKS if shrink <= spare), 1)


def _damaged(error: BaseException, param: str | None) -> BadImage:
    return BadImage(f"the image is damaged: {_first_line(error)}", param=param)


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0][:120] if str(error) else type(error).__name__
