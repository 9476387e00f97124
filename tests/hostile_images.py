"""Uploads that are made to cost a server much, or to be taken for what they are not, and their answers.

The rows are those that Pillow's own documentation on security and the advisories of image proxies name.
"""

import io
import itertools
import zipfile
import zlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image

from tests.crafted import (
    lossless_webp_of_tables,
    png_chunk,
    png_file,
    with_segments,
)
from tests.pictures import file_of, noise, picture

TAKEN, NO_IMAGE, TOO_LARGE = 200, 400, 413


class HostileImage(NamedTuple):
    """One upload.

    Attributes:
        name: What it is.
        media_type: What it is sent as.
        status: Of the answer.
        make: Its content.
    """

    name: str
    media_type: str
    status: int
    make: Callable[[], bytes]


def hostile_images() -> list[HostileImage]:
    """All of them; those that are taken are pictures that somebody may have for good reasons."""
    rows = [*_of_many_pixels(), *_with_metadata(), *_damaged(), *_of_two_kinds(), *_unusual()]
    return [HostileImage(*row) for row in rows]


def _of_many_pixels() -> list[tuple[str, str, int, Callable[[], bytes]]]:
    png, jpeg, webp = "image/png", "image/jpeg", "image/webp"
    large = Image.new("RGB", (4000, 4000), (200, 30, 90))
    all_at_once = {"progressive": True, "subsampling": 0}  # the decoder must hold every coefficient
    return [
        ("179 Mpixels of grey", png, TOO_LARGE, lambda: _deflated(13_377, 13_377, colour=0)),
        ("88 Mpixels with alpha", png, TOO_LARGE, lambda: _deflated(9_400, 9_400, colour=6)),
        ("900 Mpixels of one bit", png, TOO_LARGE, lambda: _deflated(30_000, 30_000, colour=0, depth=1)),
        ("a header of 4 Gpixels alone", png, TOO_LARGE, lambda: png_file(65_500, 65_500, pixels=b"")),
        ("16 million rows of a pixel", png, TOO_LARGE, lambda: _deflated(1, 16_000_000, colour=0)),
        ("a row of 16 million pixels", png, TOO_LARGE, lambda: _deflated(16_000_000, 1, colour=0)),
        ("16 Mpixels", png, TAKEN, lambda: file_of(large)),
        ("16 Mpixels with alpha", png, TAKEN, lambda: _deflated(4_000, 4_000, colour=6)),
        ("16 Mpixels of 16 bits", png, TAKEN, lambda: _deflated(4_000, 4_000, colour=2, depth=16)),
        ("16 Mpixels interlaced", png, TAKEN, lambda: _deflated(4_000, 4_000, colour=2, interlaced=True)),
        ("16 Mpixels as JPEG", jpeg, TAKEN, lambda: file_of(large, "JPEG")),
        ("16 Mpixels, progressive", jpeg, TOO_LARGE, lambda: file_of(large, "JPEG", **all_at_once)),
        ("16 Mpixels as WebP", webp, TOO_LARGE, lambda: file_of(large, "WEBP")),
        ("65,536 sets of Huffman tables", webp, TOO_LARGE, lambda: lossless_webp_of_tables(1024, 65_536)),
    ]


def _with_metadata() -> list[tuple[str, str, int, Callable[[], bytes]]]:
    png, jpeg = "image/png", "image/jpeg"
    small = file_of(picture(noise(32, 32, 3)), "JPEG")
    profile = b"name\0\0" + _zeros_deflated(200 * 2**20)
    text = b"key\0\0" + _zeros_deflated(2**20)
    orientation = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(60_000)
    return [
        ("200 MB of text", png, TAKEN, lambda: _with_chunks((b"zTXt", profile))),
        ("a colour profile of 200 MB", png, TAKEN, lambda: _with_chunks((b"iCCP", profile))),
        ("70 texts of 1 MB", png, TAKEN, lambda: _with_chunks(*[(b"zTXt", text)] * 70)),
        ("200,000 empty texts", png, NO_IMAGE, lambda: _with_chunks(*[(b"tEXt", b"")] * 200_000)),
        ("EXIF of 65,535 entries", jpeg, TAKEN, lambda: with_segments(small, _app1(orientation))),
        ("EXIF of nonsense", jpeg, TAKEN, lambda: with_segments(small, _app1(b"Exif\0\0nonsense"))),
    ]


def _damaged() -> list[tuple[str, str, int, Callable[[], bytes]]]:
    whole = file_of(picture(noise(64, 64, 3)))
    half = len(whole) // 2
    flipped = whole[:half] + bytes([whole[half] ^ 1]) + whole[half + 1 :]
    return [
        ("half a picture", "image/png", NO_IMAGE, lambda: whole[:half]),
        ("a wrong checksum", "image/png", NO_IMAGE, lambda: flipped),
        ("no pixels", "image/png", NO_IMAGE, lambda: png_file(32, 32, pixels=b"")),
        ("no rows", "image/png", NO_IMAGE, lambda: png_file(32, 0)),
        ("a signature alone", "image/jpeg", NO_IMAGE, lambda: b"\xff\xd8\xff"),
    ]


def _of_two_kinds() -> list[tuple[str, str, int, Callable[[], bytes]]]:
    small = Image.new("RGB", (32, 32))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("index.html", "<script>alert(1)</script>")
    return [
        ("a ZIP behind a picture", "image/png", TAKEN, lambda: file_of(small) + archive.getvalue()),
        ("GIF said to be PNG", "image/png", NO_IMAGE, lambda: file_of(small, "GIF")),
        ("TIFF said to be PNG", "image/png", NO_IMAGE, lambda: file_of(small, "TIFF")),
        ("SVG said to be PNG", "image/png", NO_IMAGE, lambda: b'<svg xmlns="http://www.w3.org/2000/svg"/>'),
        ("EPS said to be PNG", "image/png", NO_IMAGE, lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n"),
        ("JPEG said to be PNG", "image/png", NO_IMAGE, lambda: file_of(small, "JPEG")),
    ]


def _unusual() -> list[tuple[str, str, int, Callable[[], bytes]]]:
    frames = [Image.new("RGB", (32, 32), (index, 0, 0)) for index in range(100)]
    grey = Image.fromarray(np.full((32, 32), 40_000, np.uint16))
    exif = Image.Exif()
    exif[0x0112] = 6
    many = {"save_all": True, "append_images": frames[1:]}
    return [
        ("grey of 16 bits", "image/png", TAKEN, lambda: file_of(grey)),
        ("all transparent", "image/png", TAKEN, lambda: file_of(Image.new("RGBA", (32, 32)))),
        ("CMYK", "image/jpeg", TAKEN, lambda: file_of(Image.new("CMYK", (32, 32)), "JPEG")),
        ("on its side", "image/jpeg", TAKEN, lambda: file_of(frames[0], "JPEG", exif=exif)),
        ("several pictures in one JPEG", "image/jpeg", TAKEN, lambda: file_of(frames[0], "MPO", **many)),
        ("100 frames of PNG", "image/png", TAKEN, lambda: file_of(frames[0], "PNG", **many)),
        ("100 frames of WebP", "image/webp", TAKEN, lambda: file_of(frames[0], "WEBP", **many)),
    ]


def _deflated(width: int, height: int, *, colour: int, depth: int = 8, interlaced: bool = False) -> bytes:
    """A black PNG, put together without holding its pixels."""
    if interlaced:
        image = Image.new("RGB", (width, height))
        return _interlaced(image)
    samples = {0: 1, 2: 3, 6: 4}[colour]
    num_bytes = (1 + (width * depth * samples + 7) // 8) * height
    pixels = png_chunk(b"IDAT", _zeros_deflated(num_bytes))
    return png_file(width, height, colour=colour, depth=depth, pixels=pixels)


def _interlaced(image: Image.Image) -> bytes:
    """Adam7 of a black picture: the rows of each pass, with a filter byte each."""
    passes = (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    )
    num_bytes = 0
    for left, top, right, down in passes:
        columns, rows = -(-(image.width - left) // right), -(-(image.height - top) // down)
        num_bytes += rows * (1 + 3 * columns)
    pixels = png_chunk(b"IDAT", _zeros_deflated(num_bytes))
    return png_file(image.width, image.height, interlaced=True, pixels=pixels)


def _zeros_deflated(num_bytes: int) -> bytes:
    compressor = zlib.compressobj(9)
    block = bytes(2**20)
    parts = [compressor.compress(block) for _ in range(num_bytes // len(block))]
    parts.append(compressor.compress(bytes(num_bytes % len(block))))
    return b"".join([*parts, compressor.flush()])


def _with_chunks(*chunks: tuple[bytes, bytes]) -> bytes:
    extra = b"".join(itertools.starmap(png_chunk, chunks))
    return png_file(32, 32, extra=extra)


def _app1(content: bytes) -> bytes:
    return b"\xff\xe1" + (len(content) + 2).to_bytes(2, "big") + content
