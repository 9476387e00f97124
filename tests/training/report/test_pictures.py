import io

import numpy as np
import pytest
import torch
from PIL import Image

from training.report.pictures import enlargement, mosaic, picture, webp_bytes


def images(num: int, *shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (num, *shape), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize(
    ("side", "factor"), [(8, 10), (16, 5), (28, 3), (32, 2), (64, 1), (128, 1), (500, 1)]
)
def test_small_images_are_enlarged_to_about_80_pixels(side: int, factor: int) -> None:
    assert enlargement(images(1, 1, side, side)) == factor


def test_a_picture_has_its_images_pixel_by_pixel_and_transparent_gaps() -> None:
    shown = images(5, 3, 28, 20)
    pixels = np.asarray(picture(shown, columns=3))
    assert pixels.shape == (3 * (2 * 30 + 2), 3 * (3 * 22 + 2), 4)
    alpha = pixels[..., 3]
    assert alpha.sum() == 255 * 9 * shown[:, 0].numel()
    left = 3 * (2 + 22)  # the second image of the first row
    second = pixels[6 : 6 + 84, left : left + 60]
    np.testing.assert_array_equal(second[1::3, 1::3, :3], shown[1].permute(1, 2, 0))
    np.testing.assert_array_equal(second, second[1::3, 1::3].repeat(3, axis=0).repeat(3, axis=1))


def test_contrast_is_not_stretched() -> None:
    grey = torch.full((2, 1, 8, 8), 100, dtype=torch.uint8)
    grey[1] = 101
    pixels = np.asarray(picture(grey, columns=2))
    assert set(np.unique(pixels[pixels[..., 1] == 255][..., 0])) == {100, 101}


def test_large_images_are_shown_at_128_pixels_with_their_aspect() -> None:
    pixels = np.asarray(picture(torch.full((1, 3, 512, 256), 77, dtype=torch.uint8), columns=1))
    assert pixels.shape == (128 + 4, 64 + 4, 4)
    assert (pixels[2:-2, 2:-2, :3] == 77).all()


@pytest.mark.parametrize(("channels", "mode"), [(1, "LA"), (2, "LA"), (3, "RGBA"), (4, "RGBA")])
def test_images_of_one_to_four_channels_are_shown(channels: int, mode: str) -> None:
    assert picture(images(2, channels, 8, 8), columns=2).mode == mode


def test_a_mosaic_has_no_gaps() -> None:
    shown = images(9, 1, 28, 28)
    pixels = np.asarray(mosaic(shown))
    assert pixels.shape == (3 * 3 * 28, 3 * 3 * 28, 2)
    np.testing.assert_array_equal(pixels[84:168:3, 168:252:3, 0], shown[5, 0])


def test_a_picture_is_exact_in_the_page_unless_it_is_large() -> None:
    small = picture(images(8, 3, 64, 64), columns=8)
    decoded = np.asarray(Image.open(io.BytesIO(webp_bytes(small))))
    np.testing.assert_array_equal(decoded, np.asarray(small))
    noise = picture(images(64, 3, 128, 128), columns=8)
    assert len(webp_bytes(noise)) < np.asarray(noise).size / 4
