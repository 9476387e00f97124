"""One picture of any kind -> an input of the network, exactly as the service prepares an upload."""

import numpy as np
import numpy.typing as npt
from PIL import Image

from service.metadata import Preprocessing
from service.preparation import crop_box, exif_orientation, load_pixels, upright_size
from service.preparation import prepare as prepare_picture

UInt8Array = npt.NDArray[np.uint8]


def prepare(
    picture: Image.Image, *, preprocessing: Preprocessing, image_shape: tuple[int, int, int]
) -> UInt8Array:
    """uint8 (C, H, W) of an open picture.

    Raises:
        OSError: The file behind the picture is truncated or damaged.
    """
    load_pixels(picture)  # a PNG may say after its pixels how it is oriented
    exif = picture.info.get("exif")
    orientation = exif_orientation(exif) if isinstance(exif, bytes) else 1
    box = crop_box(upright_size(picture.size, orientation), preprocessing)
    prepared = prepare_picture(picture, box, image_shape, orientation=orientation)
    return np.ascontiguousarray(prepared.transpose(2, 0, 1))
