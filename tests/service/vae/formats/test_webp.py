"""What is left of a WebP, what its decoder may take, and what is refused."""

import io

import numpy as np
import pytest
from PIL import Image

from service.vae.formats.parts import MAX_PARTS, Damaged
from service.vae.formats.webp import webp_parts
from tests.crafted import exif_block, webp_chunk, webp_chunks, webp_file, webp_header
from tests.pictures import file_of, noise, picture

PICTURE = picture(noise(40, 56, 3))
LOSSY = file_of(PICTURE, "WEBP")
LOSSLESS = file_of(PICTURE, "WEBP", lossless=True)


def pixels(file: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(file)))


def test_a_bare_file_stays_as_it_is() -> None:
    for content in (LOSSY, LOSSLESS):
        parts = webp_parts(content)
        assert (parts.file, parts.size, parts.orientation) == (content, (56, 40), 1)


def test_nothing_but_the_picture_is_left() -> None:
    exif = exif_block((0x0112, 3, 1, 8))
    content = file_of(PICTURE, "WEBP", exif=exif, xmp=b"<secret/>", icc_profile=b"secret")
    parts = webp_parts(content)
    assert [chunk[:4] for chunk in webp_chunks(parts.file)] == [b"VP8X", b"VP8 "]
    assert (parts.size, parts.orientation) == ((56, 40), 8)
    np.testing.assert_array_equal(pixels(parts.file), pixels(content))


def test_alpha_is_left() -> None:
    content = file_of(picture(noise(40, 56, 4)), "WEBP", exif=exif_block())
    np.testing.assert_array_equal(pixels(webp_parts(content).file), pixels(content))


def test_of_an_animation_the_first_frame_is_left() -> None:
    more = [picture(noise(40, 56, 3, seed)) for seed in (1, 2)]
    content = file_of(PICTURE, "WEBP", save_all=True, append_images=more, lossless=True)
    parts = webp_parts(content)
    assert [chunk[:4] for chunk in webp_chunks(parts.file)] == [b"VP8X", b"ANIM", b"ANMF"]
    np.testing.assert_array_equal(pixels(parts.file), np.asarray(PICTURE))


def test_a_chunk_of_odd_length_without_its_padding_is_taken() -> None:
    exif = b"EXIF" + (3).to_bytes(4, "little") + b"odd"
    content = webp_file(webp_header(56, 40, flags=8), *webp_chunks(LOSSY), exif)
    np.testing.assert_array_equal(pixels(webp_parts(content).file), pixels(LOSSY))


def test_a_lossy_file_takes_12_bytes_a_pixel_beside_the_picture() -> None:
    assert webp_parts(LOSSY).extra_bytes == 12 * 56 * 40


@pytest.mark.parametrize("kind", ["lossless", "alpha", "animated"])
def test_lossless_coding_may_take_a_set_of_tables_for_every_16_pixels(kind: str) -> None:
    image = picture(noise(40, 56, 4)) if kind == "alpha" else PICTURE
    options = {"save_all": True, "append_images": [image]} if kind == "animated" else {}
    content = file_of(image, "WEBP", lossless=kind != "alpha", **options)
    assert webp_parts(content).extra_bytes == 12 * 56 * 40 + 12_400 * 14 * 10


def test_lossless_coding_takes_no_more_tables_than_its_bytes_can_describe() -> None:
    content = file_of(Image.new("RGB", (2000, 2000)), "WEBP", lossless=True)
    (chunk,) = webp_chunks(content)
    assert webp_parts(content).extra_bytes == 12 * 2000 * 2000 + 2300 * len(chunk)


@pytest.mark.parametrize("content", [LOSSY, LOSSLESS], ids=["lossy", "lossless"])
def test_every_shorter_file_is_refused(content: bytes) -> None:
    for length in range(16, len(content)):
        with pytest.raises(Damaged):
            webp_parts(content[:length])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (webp_file(), "does not begin with its size"),
        (webp_file(webp_chunk(b"VP8 ", bytes(20))), "does not begin with its size"),
        (webp_file(webp_chunk(b"VP8L", b"\x2f")), "does not begin with its size"),
        (webp_file(webp_chunk(b"ANIM", bytes(6)), webp_header(9, 9)), "does not begin with its size"),
        (LOSSY[:16] + b"\xff\xff\xff\x7f" + LOSSY[20:], "ends early"),
        (LOSSY[:4] + b"\xff\xff\xff\xff" + LOSSY[8:], "ends early"),
        (webp_file(webp_header(9, 9), webp_chunk(b"none", b"") * MAX_PARTS), "more than 10000 chunks"),
    ],
    ids=["nothing", "no key frame", "short", "no header", "long chunk", "long file", "many chunks"],
)
def test_what_breaks_the_rules_is_refused(content: bytes, problem: str) -> None:
    with pytest.raises(Damaged, match=problem):
        webp_parts(content)
