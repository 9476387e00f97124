"""The service prepares an upload as training prepared the picture that it learnt from."""

import io

import numpy as np
import pytest
from PIL import Image

from service.metadata import Preprocessing
from service.vae.images import ImageLimits, check_image
from tests.pictures import file_of, noise, picture
from training.data.preparation import prepare

LIMITS = ImageLimits(max_pixels=10**6, max_side=10**4, max_decode_bytes=2**24)
CROPS = ["none", "square", 20, 27, 28, 500]
SIZES = [(40, 30), (31, 44), (29, 29), (28, 28), (101, 28), (27, 30)]


def exif(orientation: int) -> Image.Exif:
    made = Image.Exif()
    made[0x0112] = orientation
    return made


def palette() -> Image.Image:
    image = Image.fromarray(noise(30, 40, 1)[..., 0]).convert("P")
    image.putpalette(bytes(np.random.default_rng(1).integers(0, 256, 768, np.uint8)))
    return image


FILES = {
    "RGB": file_of(picture(noise(30, 40, 3))),
    "grey": file_of(picture(noise(30, 40, 1))),
    "RGBA": file_of(picture(noise(30, 40, 4))),
    "grey and alpha": file_of(picture(noise(30, 40, 4)).convert("LA")),
    "palette": file_of(palette()),
    "transparent palette": file_of(palette(), transparency=7),
    "transparent colour": file_of(picture(noise(30, 40, 3) // 128), transparency=(0, 1, 0)),
    "16 bits": file_of(Image.fromarray(np.random.default_rng(2).integers(0, 65536, (30, 40), np.uint16))),
    "one bit": file_of(picture(noise(30, 40, 1)).convert("1")),
    "turned": file_of(picture(noise(30, 40, 3)), exif=exif(6)),
    "mirrored": file_of(picture(noise(30, 40, 3)), exif=exif(5)),
    "JPEG": file_of(picture(noise(30, 40, 3)), "JPEG"),
    "CMYK JPEG": file_of(picture(noise(30, 40, 3)).convert("CMYK"), "JPEG"),
    "WebP": file_of(picture(noise(30, 40, 3)), "WEBP"),
    "BMP": file_of(picture(noise(30, 40, 3)), "BMP"),
}


def assert_same(content: bytes, crop: str | int, image_shape: tuple[int, int, int]) -> None:
    preprocessing = Preprocessing(crop=crop)
    served = check_image(content, preprocessing, image_shape, limits=LIMITS, media_type=None).pixels()
    trained = prepare(Image.open(io.BytesIO(content)), preprocessing=preprocessing, image_shape=image_shape)
    np.testing.assert_array_equal(served.transpose(2, 0, 1), trained)


@pytest.mark.parametrize("crop", CROPS)
@pytest.mark.parametrize("size", SIZES)
def test_every_crop_of_every_size_is_the_same(size: tuple[int, int], crop: str | int) -> None:
    assert_same(file_of(picture(noise(size[1], size[0], 3))), crop, (3, 16, 12))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", FILES)
def test_every_kind_of_file_is_the_same(kind: str, channels: int) -> None:
    assert_same(FILES[kind], "square", (channels, 16, 16))
