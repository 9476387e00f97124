from io import BytesIO
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from service.metadata import Preprocessing
from training.data.preparation import prepare


def random_picture(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    ("crop", "box"),
    [
        ("none", (0, 0, 178, 218)),
        ("square", (0, 20, 178, 198)),
        (148, (15, 35, 163, 183)),
        (500, (0, 20, 178, 198)),
    ],
)
def test_the_crop_is_centred_and_the_resize_is_pillows(
    crop: Literal["none", "square"] | int, box: tuple[int, int, int, int]
) -> None:
    picture = random_picture(178, 218)
    expected = np.asarray(picture.crop(box).resize((64, 64), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    prepared = prepare(picture, preprocessing=Preprocessing(crop=crop), image_shape=(3, 64, 64))
    np.testing.assert_array_equal(prepared, expected)


def test_a_picture_of_the_right_size_is_unchanged() -> None:
    picture = random_picture(20, 30)
    prepared = prepare(picture, preprocessing=Preprocessing(crop="none"), image_shape=(3, 30, 20))
    np.testing.assert_array_equal(prepared.transpose(1, 2, 0), np.asarray(picture))


@pytest.mark.parametrize(
    ("picture", "level"),
    [
        (Image.new("RGBA", (8, 8), (0, 0, 0, 0)), 255),
        (Image.new("LA", (8, 8), (10, 255)), 10),
        (Image.new("1", (8, 8), 1), 255),
        (Image.new("CMYK", (8, 8), (0, 0, 0, 0)), 255),
        (Image.new("P", (8, 8), 0), 0),
        (Image.fromarray(np.full((8, 8), 256 * 77, dtype=np.uint16)), 77),
    ],
    ids=["transparent", "grey with alpha", "one bit", "CMYK", "palette", "16 bits"],
)
@pytest.mark.parametrize("num_channels", [1, 3])
def test_any_mode_becomes_the_channels_that_the_network_takes(
    picture: Image.Image, level: int, num_channels: int
) -> None:
    prepared = prepare(picture, preprocessing=Preprocessing(), image_shape=(num_channels, 4, 4))
    np.testing.assert_array_equal(prepared, np.full((num_channels, 4, 4), level))


def test_exif_orientation_is_applied() -> None:
    upright = random_picture(8, 12)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it a quarter turn clockwise
    file = BytesIO()
    upright.rotate(90, expand=True).save(file, "PNG", exif=exif)
    prepared = prepare(Image.open(file), preprocessing=Preprocessing(crop="none"), image_shape=(3, 12, 8))
    np.testing.assert_array_equal(prepared.transpose(1, 2, 0), np.asarray(upright))
