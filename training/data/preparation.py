"""One picture of any kind -> an input of the network, exactly as the service prepares an upload."""

import numpy as np
import numpy.typing as npt
from PIL import Image

from service.metadata import Preprocessing
from service.preparation import prepare as prepare_picture

UInt8Array = npt.NDArray[np.uint8]


def prepare(
    picture: Image.Image, *, preprocessing: Preprocessing, image_shape: tuple[int, int, int]
) -> UInt8Array:
    """uint8 (C, H, W) of an open picture.

    Raises:
        OSError: The file behind the picture is truncated or damaged.
    """
    return np.ascontiguousarray(prepare_picture(picture, preprocessing, image_shape).transpose(2, 0, 1))
