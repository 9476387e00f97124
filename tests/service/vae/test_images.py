"""Uploads of every mode and of every fault; expected pixels by hand, by Pillow, or by torchvision."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as torchvision_functional

from service.errors import BadImage, TooLarge
from service.metadata import Preprocessing
from service.vae.images import FORMATS, contact_sheet, decode_image
from tests.pictures import file_of, noise, picture

WHOLE = Preprocessing(crop="none")
SQUARE = Preprocessing(crop="square")


def decode(
    content: bytes,
    shape: tuple[int, int, int],
    *,
    preprocessing: Preprocessing = WHOLE,
    media_type: str | None = None,
    max_pixels: int = 10**7,
    param: str | None = None,
) -> np.ndarray:
    return decode_image(
        content, preprocessing, shape, media_type=media_type, max_pixels=max_pixels, param=param
    )


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["PNG", "BMP", "WEBP"])
def test_a_lossless_file_of_the_right_size_comes_through_unchanged(kind: str, channels: int) -> None:
    array = noise(6, 9, channels)
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    if kind == "WEBP" and channels == 1:
        array = np.repeat(array, 3, axis=2)  # WebP has no grey
        expected = np.asarray(picture(array).convert("L"))[..., None]
    else:
        expected = array
    content = file_of(picture(array), kind, **options)
    np.testing.assert_array_equal(decode(content, (channels, 6, 9)), expected)


def test_the_result_is_contiguous_uint8() -> None:
    result = decode(file_of(picture(noise(20, 11, 3))), (3, 8, 8), preprocessing=SQUARE)
    assert result.dtype == np.uint8
    assert result.shape == (8, 8, 3)
    assert result.flags.c_contiguous


def test_grey_is_the_same_in_every_channel() -> None:
    array = noise(4, 4, 1)
    np.testing.assert_array_equal(decode(file_of(picture(array)), (3, 4, 4)), array.repeat(3, axis=2))


def test_colour_becomes_luma_by_rec_601() -> None:
    array = noise(4, 4, 3)
    luma = array @ np.array([0.299, 0.587, 0.114])
    result = decode(file_of(picture(array)), (1, 4, 4))[..., 0]
    np.testing.assert_allclose(result, luma, atol=0.51)


@pytest.mark.parametrize("channels", [1, 3])
def test_16_bits_are_scaled_and_not_clipped(channels: int) -> None:
    levels = np.array([[0, 257, 300], [32768, 65534, 65535]], np.uint16)
    result = decode(file_of(Image.fromarray(levels)), (channels, 2, 3))
    by_hand = np.array([[0, 1, 1], [128, 255, 255]])  # level / 257, rounded: 65535 is 255 * 257
    for channel in range(channels):
        np.testing.assert_array_equal(result[..., channel], by_hand)


def test_one_bit_pictures_are_black_and_white() -> None:
    bits = Image.new("1", (2, 1))
    bits.putpixel((1, 0), 1)
    np.testing.assert_array_equal(decode(file_of(bits), (1, 1, 2))[..., 0], [[0, 255]])


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_flattened_on_white(mode: str) -> None:
    alpha = [0, 51, 255]  # 51 / 255 = 0.2
    pixels = [(100, 0, 200, a) if mode == "RGBA" else (100, a) for a in alpha]
    image = Image.new(mode, (3, 1))
    image.putdata(pixels)
    colour = np.array([100, 0, 200] if mode == "RGBA" else [100, 100, 100])
    by_hand = [255 + a / 255 * (colour - 255) for a in alpha]
    np.testing.assert_allclose(decode(file_of(image), (3, 1, 3))[0], by_hand, atol=1)


def test_a_palette_is_looked_up_and_its_transparent_entry_is_white() -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    image.putdata([0, 1, 2])
    content = file_of(image, transparency=1)
    np.testing.assert_array_equal(
        decode(content, (3, 1, 3))[0], [[10, 20, 30], [255, 255, 255], [70, 80, 90]]
    )


def test_a_transparent_colour_of_rgb_is_white() -> None:
    image = picture(np.array([[[1, 2, 3], [9, 9, 9]]], np.uint8))
    content = file_of(image, transparency=(1, 2, 3))
    np.testing.assert_array_equal(decode(content, (3, 1, 2))[0], [[255, 255, 255], [9, 9, 9]])


@pytest.mark.parametrize("channels", [1, 3])
def test_a_cmyk_jpeg_is_converted(channels: int) -> None:
    flat = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # no cyan, full magenta and yellow: red
    result = decode(file_of(flat, "JPEG", quality=95), (channels, 16, 16), media_type="image/jpeg")
    expected = (254, 0, 0) if channels == 3 else (76,)
    np.testing.assert_allclose(result.reshape(-1, channels).mean(axis=0), expected, atol=3)


# What EXIF's orientation tag says must be done to the stored array (rows, columns) to stand upright.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_exif_orientation_is_applied(orientation: int, kind: str) -> None:
    array = noise(4, 6, 3)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    expected = UPRIGHT[orientation](array)
    height, width, _ = expected.shape
    content = file_of(picture(array), kind, exif=exif, **options)
    np.testing.assert_array_equal(decode(content, (3, height, width)), expected)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_the_first_frame_of_an_animation_is_taken(kind: str) -> None:
    first, second = (Image.new("RGB", (5, 5), colour) for colour in ("red", "blue"))
    content = file_of(first, kind, save_all=True, append_images=[second], lossless=True)
    np.testing.assert_array_equal(decode(content, (3, 5, 5)).reshape(-1, 3), [[255, 0, 0]] * 25)


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
    [b"", b"not a picture\n", b"<svg/>", file_of(Image.new("RGB", (2, 2)), "GIF"), b"\x89PNG\r\n\x1a\n"],
    ids=["empty", "text", "svg", "gif", "only a signature"],
)
def test_what_is_no_picture_of_a_known_kind_is_refused_naming_the_field_and_the_kinds(content: bytes) -> None:
    with pytest.raises(BadImage) as caught:
        decode(content, (3, 8, 8), param="image[3]")
    assert caught.value.param == "image[3]"
    for kind in FORMATS:
        assert kind in caught.value.message


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
        decode(png_header(side, side), (3, 8, 8), max_pixels=16_000_000)


@pytest.mark.parametrize("size", [(40, 30), (31, 44), (29, 29), (28, 28), (101, 28)])
@pytest.mark.parametrize("crop", [28, 27, 20, 5])
def test_a_crop_in_pixels_is_torchvisions_centre_crop_then_resize(size: tuple[int, int], crop: int) -> None:
    image = picture(noise(size[1], size[0], 3))
    cropped = torchvision_functional.center_crop(image, [crop, crop])
    expected = torchvision_functional.resize(cropped, [16, 12], InterpolationMode.BILINEAR, antialias=True)
    result = decode(file_of(image), (3, 16, 12), preprocessing=Preprocessing(crop=crop))
    np.testing.assert_array_equal(result, np.asarray(expected))


def test_celebas_own_crop_is_torchvisions() -> None:
    image = picture(noise(218, 178, 3))
    expected = torchvision_functional.resize(
        torchvision_functional.center_crop(image, [148, 148]), [64, 64], InterpolationMode.BILINEAR
    )
    content = file_of(image)
    result = decode(content, (3, 64, 64), preprocessing=Preprocessing(crop=148))
    np.testing.assert_array_equal(result, np.asarray(expected))


@pytest.mark.parametrize("size", [(40, 31), (31, 40), (7, 100), (1, 1)])
def test_a_square_crop_is_torchvisions_centre_crop_of_the_shorter_side(size: tuple[int, int]) -> None:
    image = picture(noise(size[1], size[0], 1))
    expected = torchvision_functional.resize(
        torchvision_functional.center_crop(image, [min(size)] * 2), [8, 8], InterpolationMode.BILINEAR
    )
    result = decode(file_of(image), (1, 8, 8), preprocessing=SQUARE)
    np.testing.assert_array_equal(result[..., 0], np.asarray(expected))


def test_no_crop_resizes_the_whole_frame() -> None:
    image = picture(noise(40, 31, 1))
    expected = torchvision_functional.resize(image, [8, 12], InterpolationMode.BILINEAR)
    np.testing.assert_array_equal(decode(file_of(image), (1, 8, 12))[..., 0], np.asarray(expected))


def test_a_crop_larger_than_the_picture_takes_the_largest_square() -> None:
    content = file_of(picture(noise(20, 30, 3)))
    np.testing.assert_array_equal(
        decode(content, (3, 8, 8), preprocessing=Preprocessing(crop=148)),
        decode(content, (3, 8, 8), preprocessing=SQUARE),
    )


@pytest.mark.parametrize("preprocessing", [WHOLE, SQUARE, Preprocessing(crop=300)], ids=lambda p: p.crop)
def test_a_large_jpeg_is_shrunk_while_it_is_decoded_and_stays_close_to_training(
    preprocessing: Preprocessing,
) -> None:
    # Training decodes the whole file.
    smooth = Image.fromarray(noise(40, 50, 3)).resize((500, 400), Image.Resampling.BICUBIC)
    content = file_of(smooth, "JPEG", quality=90)
    whole = Image.open(io.BytesIO(content))
    sides = {"none": None, "square": 400}.get(preprocessing.crop, preprocessing.crop)
    if sides is not None:
        whole = torchvision_functional.center_crop(whole, [sides, sides])
    expected = torchvision_functional.resize(whole, [28, 28], InterpolationMode.BILINEAR)
    result = decode(content, (3, 28, 28), preprocessing=preprocessing)
    levels = np.abs(result.astype(int) - np.asarray(expected))
    assert levels.max() <= 3
    assert levels.mean() < 0.5


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


def png_header(width: int, height: int) -> bytes:
    """The start of a PNG file, up to an empty IDAT chunk."""
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", b"")]
    chunks = [
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


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
