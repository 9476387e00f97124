"""Which pixels a file becomes: every mode, orientation and crop; expected by hand, Pillow or torchvision."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageOps
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as torchvision_functional

from service import preparation
from service.metadata import Preprocessing
from tests.crafted import png_chunk, png_file, png_rows
from tests.pictures import file_of, noise, picture
from tests.service.vae.decoding import SQUARE, WHOLE, decode


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


@pytest.mark.parametrize(
    ("depth", "level", "row", "by_hand"),
    [
        (1, 0, 0b01_000000, [255, 255]),
        (2, 1, 0b01_10_0000, [255, 170]),  # levels 0 to 3 are 85 apart
        (4, 3, 0b0011_0010, [255, 34]),  # levels 0 to 15 are 17 apart
    ],
)
def test_the_transparent_level_of_grey_of_few_bits_is_white(
    depth: int, level: int, row: int, by_hand: list[int]
) -> None:
    transparent = png_chunk(b"tRNS", struct.pack(">H", level))
    pixels = png_rows(bytes([row]))
    content = png_file(2, 1, depth=depth, colour=0, extra=transparent, pixels=pixels)
    np.testing.assert_array_equal(decode(content, (1, 1, 2)).ravel(), by_hand)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_transparent_level_of_16_bit_grey_is_white(channels: int) -> None:
    transparent = png_chunk(b"tRNS", struct.pack(">H", 1000))
    pixels = png_rows(struct.pack(">2H", 1000, 40_000))
    content = png_file(2, 1, depth=16, colour=0, extra=transparent, pixels=pixels)
    by_hand = np.repeat([[255], [156]], channels, axis=1)  # 40,000 / 257 = 155.6
    np.testing.assert_array_equal(decode(content, (channels, 1, 2))[0], by_hand)


def test_16_bit_colours_are_scaled_and_the_transparent_one_is_white() -> None:
    transparent = png_chunk(b"tRNS", struct.pack(">3H", 1000, 2000, 3000))
    pixels = png_rows(struct.pack(">6H", 1000, 2000, 3000, 40_000, 257, 65_535))
    content = png_file(2, 1, depth=16, colour=2, extra=transparent, pixels=pixels)
    np.testing.assert_allclose(decode(content, (3, 1, 2))[0], [[255, 255, 255], [156, 1, 255]], atol=1)


def test_16_bit_colours_with_alpha_are_flattened_on_white() -> None:
    pixels = png_rows(struct.pack(">8H", 40_000, 257, 65_535, 65_535, 40_000, 257, 65_535, 0))
    content = png_file(2, 1, depth=16, colour=6, pixels=pixels)
    np.testing.assert_allclose(decode(content, (3, 1, 2))[0], [[156, 1, 255], [255, 255, 255]], atol=1)


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


def test_a_cmyk_jpeg_by_adobe_which_stores_ink_upside_down_is_converted() -> None:
    # Pillow writes CMYK upside down with Adobe's marker; 0 ink is stored as 255.
    content = file_of(Image.new("CMYK", (16, 16), (255, 0, 0, 0)), "JPEG", quality=95)
    assert b"\xff\xee\x00\x0eAdobe" in content
    np.testing.assert_allclose(decode(content, (3, 16, 16))[0, 0], [0, 255, 255], atol=3)


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


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "L", "P", "I;16"])
def test_a_picture_of_many_strips_has_the_pixels_of_one_step_after_the_other(
    mode: str, orientation: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparation, "STRIP_PIXELS", 1000)
    image = of_mode(mode, (90, 71))
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = file_of(image, exif=exif)
    flat = image.convert("RGBA") if mode != "I;16" else eight_bits(image).convert("RGBA")
    flat = Image.alpha_composite(Image.new("RGBA", flat.size, "white"), flat).convert("RGB")
    flat.getexif()[0x0112] = orientation
    upright = ImageOps.exif_transpose(flat)
    expected = upright.resize((41, 30), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(decode(content, (3, 30, 41)), np.asarray(expected))


@pytest.mark.parametrize(("channels", "mode"), [(2, "LA"), (4, "RGBA")])
@pytest.mark.parametrize("size", [(90, 71), (30, 20)])
def test_alpha_stays_for_a_network_that_has_a_channel_for_it(
    channels: int, mode: str, size: tuple[int, int]
) -> None:
    image = of_mode(mode, size)
    expected = image.resize((30, 20), Image.Resampling.BILINEAR)
    found = decode(file_of(image), (channels, 20, 30)).astype(int)
    # Colours under little alpha are kept in few levels.
    differences = np.abs(found - np.asarray(expected)) * (np.asarray(expected)[..., -1:] / 255)
    assert differences.max() <= 1


def of_mode(mode: str, size: tuple[int, int]) -> Image.Image:
    """Noise of any mode."""
    width, height = size
    if mode == "I;16":
        return Image.fromarray(np.random.default_rng(3).integers(0, 65536, (height, width), np.uint16))
    if mode == "P":
        return picture(noise(height, width, 3)).quantize(32)
    return picture(noise(height, width, 4)).convert(mode)


def eight_bits(image: Image.Image) -> Image.Image:
    """16 bits to 8, rounded."""
    return Image.fromarray(np.rint(np.asarray(image) / 257).astype(np.uint8))
