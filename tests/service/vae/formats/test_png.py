"""What is left of a PNG, and what is refused."""

import io

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from service.vae.formats.parts import MAX_PARTS, Damaged
from service.vae.formats.png import png_parts
from tests.crafted import PNG_SIGNATURE, exif_block, png_chunk, png_file, png_rows
from tests.pictures import file_of, noise, picture


def kinds_of(file: bytes) -> list[bytes]:
    kinds, place = [], len(PNG_SIGNATURE)
    while place < len(file):
        kinds.append(file[place + 4 : place + 8])
        place += 12 + int.from_bytes(file[place : place + 4], "big")
    return kinds


def test_a_bare_file_stays_as_it_is() -> None:
    content = file_of(picture(noise(20, 30, 3)))
    assert png_parts(content) == (content, (30, 20), "a PNG", 1, 0)


def test_nothing_but_the_picture_is_left() -> None:
    text = PngInfo()
    text.add_text("Comment", "secret" * 100, zip=True)
    text.add_itxt("XML:com.adobe.xmp", "<secret/>")
    image = picture(noise(20, 30, 3))
    content = file_of(image, pnginfo=text, icc_profile=b"profile", dpi=(72, 72), exif=exif_block())
    file = png_parts(content).file
    assert kinds_of(file) == [b"IHDR", b"IDAT", b"IEND"]
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(file))), np.asarray(image))


def test_palette_and_transparency_are_left() -> None:
    content = file_of(picture(noise(20, 30, 3)).quantize(8), transparency=3)
    assert kinds_of(png_parts(content).file) == [b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"]


def test_of_an_animation_the_first_frame_is_left() -> None:
    first, second = picture(noise(9, 9, 3)), picture(noise(9, 9, 3, seed=1))
    content = file_of(first, save_all=True, append_images=[second])
    assert b"fcTL" in content
    np.testing.assert_array_equal(
        np.asarray(Image.open(io.BytesIO(png_parts(content).file))), np.asarray(first)
    )


def test_what_follows_the_picture_is_left_out() -> None:
    content = png_file(3, 3)
    assert png_parts(content + b"PK\3\4" + b"zip" * 100).file == content


@pytest.mark.parametrize("place", ["before", "after"])
def test_orientation_is_found_on_either_side_of_the_pixels(place: str) -> None:
    exif = png_chunk(b"eXIf", exif_block((0x0112, 3, 1, 6)))
    pixels = png_rows(bytes(9))
    order = exif + pixels if place == "before" else pixels + exif
    assert png_parts(png_file(3, 1, pixels=order)).orientation == 6


def test_a_wrong_checksum_of_a_chunk_that_is_not_used_does_not_matter() -> None:
    text = png_chunk(b"tEXt", b"key\0value")[:-1] + b"!"
    assert png_parts(png_file(3, 3, extra=text)).file == png_file(3, 3)


@pytest.mark.parametrize("kind", [b"IHDR", b"IDAT", b"IEND"])
def test_a_wrong_checksum_names_its_chunk(kind: bytes) -> None:
    content = png_file(3, 3)
    place = content.index(kind)
    end = place + 4 + int.from_bytes(content[place - 4 : place], "big")
    damaged = content[:end] + bytes([content[end] ^ 1]) + content[end + 1 :]
    with pytest.raises(Damaged, match=f"checksum of its chunk {kind.decode()} "):
        png_parts(damaged)


def test_every_shorter_file_is_refused() -> None:
    content = png_file(3, 3)
    for length in range(len(PNG_SIGNATURE), len(content)):
        with pytest.raises(Damaged, match="ends early"):
            png_parts(content[:length])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (PNG_SIGNATURE + png_rows(b"") + png_file(3, 3)[8:], "header is not its first chunk"),
        (png_file(3, 3, extra=png_file(9, 9)[8:33]), "not its only one"),
        (PNG_SIGNATURE + png_chunk(b"IHDR", b"") + png_chunk(b"IEND", b""), "header"),
        (PNG_SIGNATURE + png_chunk(b"IHDR", bytes(8)) + png_chunk(b"IEND", b""), "header has the wrong len"),
        (png_file(3, 3, colour=3), "no palette"),
        (png_file(3, 3, extra=b"\xff\xff\xff\xffIDAT"), "ends early"),
    ],
    ids=["no header", "two headers", "empty header", "short header", "no palette", "a length of 4 GiB"],
)
def test_what_breaks_the_rules_is_refused(content: bytes, problem: str) -> None:
    with pytest.raises(Damaged, match=problem):
        png_parts(content)


def test_as_many_chunks_as_a_picture_may_need_are_taken_and_one_more_is_not() -> None:
    chunk = png_chunk(b"tEXt", b"")
    assert png_parts(png_file(3, 3, extra=chunk * (MAX_PARTS - 3))).size == (3, 3)
    with pytest.raises(Damaged, match="more than 10000 chunks"):
        png_parts(png_file(3, 3, extra=chunk * (MAX_PARTS - 2)))
