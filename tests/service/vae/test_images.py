"""Uploads of every fault, false claims, limits; and the contact sheet."""

from contextlib import nullcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from service.errors import BadImage, TooLarge
from service.vae.images import FORMATS, contact_sheet
from tests.crafted import bmp_file, png_chunk, png_file, webp_chunks, webp_file, webp_header
from tests.pictures import file_of, noise, picture
from tests.service.vae.decoding import decode


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_file_is_refused(kind: str, share: float) -> None:
    content = file_of(picture(noise(32, 32, 3)), kind)
    with pytest.raises(BadImage):
        decode(content[: int(share * len(content))], (3, 8, 8))


def test_a_damaged_checksum_is_refused() -> None:
    content = bytearray(file_of(picture(noise(32, 32, 3))))
    content[len(content) // 2] ^= 0xFF
    with pytest.raises(BadImage):
        decode(bytes(content), (3, 8, 8))


@pytest.mark.parametrize(
    "content",
    [b"not a picture\n", b"<svg/>", file_of(Image.new("RGB", (2, 2)), "GIF")],
    ids=["text", "svg", "gif"],
)
def test_what_is_no_picture_of_a_known_kind_is_refused_naming_the_field_and_the_kinds(content: bytes) -> None:
    with pytest.raises(BadImage) as caught:
        decode(content, (3, 8, 8), param="image[3]")
    assert caught.value.param == "image[3]"
    for kind in FORMATS:
        assert kind in caught.value.message


def test_an_empty_file_is_called_one() -> None:
    with pytest.raises(BadImage, match="the file is empty"):
        decode(b"", (3, 8, 8))


@pytest.mark.parametrize("sent_as", FORMATS)
@pytest.mark.parametrize("kind", FORMATS.values())
def test_only_a_true_claim_is_believed(sent_as: str, kind: str) -> None:
    content = file_of(picture(noise(8, 8, 3)), kind)
    if FORMATS[sent_as] == kind:
        assert decode(content, (3, 8, 8), media_type=sent_as).shape == (8, 8, 3)
        return
    with pytest.raises(BadImage, match=f"sent as {sent_as}, but it is {kind}"):
        decode(content, (3, 8, 8), media_type=sent_as)


def test_as_many_pixels_as_allowed_are_taken_and_one_more_is_not() -> None:
    content = file_of(picture(noise(10, 10, 1)))
    assert decode(content, (1, 4, 4), max_pixels=100).shape == (4, 4, 1)
    with pytest.raises(TooLarge, match="10x10 = 100 pixels, at most 99"):
        decode(content, (1, 4, 4), max_pixels=99)


@pytest.mark.parametrize("side", [5_000, 60_000])
def test_too_many_pixels_are_refused_before_they_are_decoded(side: int) -> None:
    # A header that promises the pixels and no pixels at all: decoding it would fail in another way.
    with pytest.raises(TooLarge):
        decode(png_file(side, side, pixels=png_chunk(b"IDAT", b"")), (3, 8, 8))


@pytest.mark.parametrize(("width", "height"), [(11, 4), (4, 11)])
def test_as_long_a_side_as_allowed_is_taken_and_one_more_is_not(width: int, height: int) -> None:
    content = file_of(picture(noise(height, width, 1)))
    assert decode(content, (1, 4, 4), max_side=11).shape == (4, 4, 1)
    with pytest.raises(TooLarge, match=f"{width}x{height} pixels, at most 10 a side"):
        decode(content, (1, 4, 4), max_side=10)


@pytest.mark.parametrize(
    ("options", "bytes_a_pixel"),
    [
        ({"format": "PNG"}, 4),
        ({"format": "BMP"}, 4),
        ({"format": "JPEG"}, 4),
        ({"format": "JPEG", "progressive": True, "subsampling": 0}, 4 + 2 * 3),  # 16 bits a coefficient
        ({"format": "JPEG", "progressive": True, "subsampling": 2}, 4 + 2 * 1.5),  # colour at a quarter
        ({"format": "WEBP"}, 16),
    ],
)
def test_a_file_is_refused_by_what_its_decoder_takes(
    options: dict[str, object], bytes_a_pixel: float
) -> None:
    kind = str(options.pop("format"))
    content = file_of(Image.new("RGB", (160, 160)), kind, **options)
    num_bytes = int(160 * 160 * bytes_a_pixel)
    assert decode(content, (3, 160, 160), max_decode_bytes=num_bytes).shape == (160, 160, 3)
    with pytest.raises(TooLarge, match=f"160x160 pixels may take {num_bytes} bytes .* {num_bytes - 1} are"):
        decode(content, (3, 160, 160), max_decode_bytes=num_bytes - 1)


def test_the_default_memory_is_enough_for_what_the_readme_says() -> None:
    for side in (288, 292):
        lossless = file_of(picture(noise(side, side, 3)), "WEBP", lossless=True)
        with nullcontext() if side == 288 else pytest.raises(TooLarge, match="a lossless WebP"):
            decode(lossless, (3, 8, 8))
    flat = file_of(Image.new("RGB", (1000, 1000)), "WEBP", lossless=True)
    assert decode(flat, (3, 8, 8)).shape == (8, 8, 3)


def test_a_jpeg_that_is_shrunk_takes_less() -> None:
    content = file_of(Image.new("RGB", (1600, 1600)), "JPEG")
    assert decode(content, (3, 40, 40), max_decode_bytes=200 * 200 * 4).shape == (40, 40, 3)
    with pytest.raises(TooLarge):
        decode(content, (3, 40, 40), max_decode_bytes=200 * 200 * 4 - 1)


def test_two_sizes_in_one_file_are_noticed() -> None:
    (chunk,) = webp_chunks(file_of(Image.new("RGB", (5, 5)), "WEBP"))
    with pytest.raises(BadImage):
        decode(webp_file(webp_header(16, 16), chunk), (3, 8, 8))


@pytest.mark.parametrize("size", [(0, 5), (5, 0)])
def test_a_picture_without_pixels_is_refused(size: tuple[int, int]) -> None:
    for content in (png_file(*size), bmp_file(*size, bytes(100))):
        with pytest.raises(BadImage, match=f"{size[0]}x{size[1]} pixels"):
            decode(content, (3, 8, 8))


def test_what_pillow_itself_calls_a_bomb_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(BadImage):
        decode(file_of(Image.new("L", (5, 5))), (1, 4, 4))


# As service.logs does: Pillow only warns of damaged tags.
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")
@settings(max_examples=150)
@given(
    kind=st.sampled_from(["PNG", "JPEG", "WEBP", "BMP"]),
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_whatever_is_damaged_there_is_a_picture_or_one_of_two_errors(
    kind: str, changes: list[tuple[int, int]]
) -> None:
    content = bytearray(SMALL_FILES[kind])
    for place, value in changes:
        content[place % len(content)] = value
    try:
        result = decode(bytes(content), (3, 8, 8), max_pixels=10_000)
    except (BadImage, TooLarge):
        return
    assert result.shape == (8, 8, 3)


@pytest.mark.parametrize(("num", "rows", "columns"), [(1, 1, 1), (2, 1, 2), (3, 2, 2), (5, 2, 3), (16, 4, 4)])
def test_a_contact_sheet_is_as_square_as_possible_row_by_row_the_rest_white(
    num: int, rows: int, columns: int
) -> None:
    images = np.arange(num, dtype=np.uint8).reshape(num, 1, 1, 1).repeat(2, axis=1).repeat(3, axis=2)
    (sheet,) = contact_sheet(images)
    assert sheet.shape == (2 * rows, 3 * columns, 1)
    cells = [*range(num), *[255] * (rows * columns - num)]
    for place, expected in enumerate(cells):
        top, left = 2 * (place // columns), 3 * (place % columns)
        np.testing.assert_array_equal(sheet[top : top + 2, left : left + 3], expected)


def exif_of(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


SMALL_FILES = {
    "PNG": file_of(picture(noise(9, 11, 3)), "PNG", exif=exif_of(6)),
    "JPEG": file_of(picture(noise(9, 11, 3)), "JPEG", exif=exif_of(8)),
    "WEBP": file_of(picture(noise(9, 11, 3)), "WEBP", exif=exif_of(3)),
    "BMP": file_of(picture(noise(9, 11, 3)), "BMP"),
}
