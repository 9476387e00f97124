"""MNIST and Fashion-MNIST from torchvision's layout, packed (.gz) or not; the folder may be read-only.

The idx format: two zero bytes, a type code (8 is uint8), the number of dimensions, each dimension as a
big-endian uint32, then the values (LeCun, "The MNIST database", section on file formats).
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from training.config import DataConfig
from training.data.preparation import UInt8Array, prepare
from training.data.splits import ImageSplits
from training.errors import DataError

FOLDERS = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST"}
NUM_TRAINING_IMAGES = 50_000  # of 60,000, the rest for validation: Burda et al. 2016, section 5


def load_idx(root: Path, *, config: DataConfig) -> ImageSplits:
    """The first 50,000 training images, the last 10,000 for validation; the test files are never opened.

    Raises:
        DataError: Naming the file that is missing or damaged.
    """
    path = find_idx(root, FOLDERS[config.dataset], "train-images-idx3-ubyte")
    pixels = read_idx(path)
    if pixels.ndim != 3 or len(pixels) <= NUM_TRAINING_IMAGES:
        raise DataError(
            f"{path} has the shape {pixels.shape}: more than {NUM_TRAINING_IMAGES} pictures were expected"
        )
    train, validation = pixels[:NUM_TRAINING_IMAGES], pixels[NUM_TRAINING_IMAGES:]
    return ImageSplits(
        as_inputs(train[: config.limit], config), as_inputs(validation[: config.limit], config)
    )


def read_idx(path: Path) -> UInt8Array:
    """The uint8 array in an idx file, of any number of dimensions, packed with gzip or not.

    Raises:
        DataError: The file is no idx file of uint8, or is truncated.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}") from None
    if len(content) < 4 or content[:3] != b"\0\0\x08":
        raise DataError(f"{path} is no idx file of bytes")
    num_dimensions = content[3]
    start = 4 + 4 * num_dimensions
    if len(content) < start:
        raise DataError(f"{path} is truncated: it ends within its heading")
    shape = struct.unpack(f">{num_dimensions}I", content[4:start])
    if len(content) != start + math.prod(shape):
        raise DataError(f"{path} is truncated: {len(content)} bytes, {start + math.prod(shape)} announced")
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)


def find_idx(root: Path, name: str, file: str) -> Path:
    """Where a file of a data set is, in torchvision's layout or without its folders.

    Raises:
        DataError: Naming the file that is not there.
    """
    for folder in (root / name / "raw", root / "raw", root):
        for suffix in ("", ".gz"):
            path = folder / (file + suffix)
            if path.is_file():
                return path
    raise DataError(f"{root} holds no {name}: {root / name / 'raw' / file}.gz is not there")


def as_inputs(pixels: UInt8Array, config: DataConfig) -> Tensor:
    """uint8 (N, C, H, W) of grey pictures (N, rows, columns), prepared as any other picture is."""
    if (1, *pixels.shape[1:]) == config.image_shape:
        return torch.from_numpy(pixels[:, None].copy())
    prepared = [
        prepare(Image.fromarray(grey), preprocessing=config.preprocessing, image_shape=config.image_shape)
        for grey in pixels
    ]
    return torch.from_numpy(np.stack(prepared))
