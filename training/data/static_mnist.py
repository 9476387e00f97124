"""MNIST as it was binarized once and for all (Larochelle & Murray 2011): 50,000, 10,000 and 10,000 images.

binarized_mnist_train.amat, ..._valid.amat, ..._test.amat   text, 784 digits 0 or 1 a line
static_binarized_mnist.npz                                  train, valid and test, 784 bits a row, packed
"""

import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training.config import DataConfig
from training.data.preparation import UInt8Array
from training.data.splits import ImageSplits
from training.errors import DataError

PARTS = {"train": "train", "validation": "valid", "test": "test"}
PACKED_FILE = "static_binarized_mnist.npz"
IMAGE_SHAPE = (1, 28, 28)


def load_static_mnist(root: Path, *, config: DataConfig) -> ImageSplits:
    """The training and the validation part; the test part is never opened.

    Raises:
        DataError: Naming the file that is missing or damaged.
    """
    train, validation = (
        load_static_part(root, part, config=config)[: config.limit] for part in ("train", "validation")
    )
    return ImageSplits(train, validation)


def load_static_part(root: Path, part: str, *, config: DataConfig) -> Tensor:
    """uint8 (N, 1, 28, 28) of 0 and 255.

    Raises:
        DataError: Naming the file that is missing or damaged.
    """
    if config.image_shape != IMAGE_SHAPE:
        raise DataError(
            "static-mnist is binary pixels, which cannot be resized: data.image_shape is 1, 28, 28"
        )
    path = root / PACKED_FILE
    if not path.is_file():
        path = root / f"binarized_mnist_{PARTS[part]}.amat"
    if not path.is_file():
        raise DataError(f"{root} holds no static MNIST: neither {PACKED_FILE} nor {path.name} is there")
    try:
        bits = _unpacked(path, PARTS[part]) if path.suffix == ".npz" else np.loadtxt(path, dtype=np.uint8)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}") from None
    if bits.ndim != 2 or bits.shape[1] != 28 * 28 or bits.max(initial=0) > 1:
        raise DataError(f"{path} is no table of 784 binary pixels a row: its shape is {bits.shape}")
    return torch.from_numpy(bits * np.uint8(255)).view(-1, *IMAGE_SHAPE)


def _unpacked(path: Path, name: str) -> UInt8Array:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return np.unpackbits(arrays[name], axis=1)
