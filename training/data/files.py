"""Many image files -> one uint8 tensor, read once; files that cannot be decoded are named and skipped."""

import errno
import logging
import math
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rich.progress import track
from torch import Tensor

from service.preparation import DECODE_ERRORS
from training.config import DataConfig
from training.data.preparation import UInt8Array, prepare
from training.data.read_ahead import read_ahead
from training.errors import DataError

logger = logging.getLogger(__name__)

MAX_MEMORY_BYTES = 4 * 2**30
MAX_NAMED_FILES = 5
MIN_FILES_FOR_PROGRESS = 2000


def read_files(paths: Sequence[Path], *, config: DataConfig) -> Tensor:
    """uint8 (N, C, H, W), in the order of the paths, less the files that cannot be decoded.

    Up to 4 GiB are held in memory, more in an unnamed temporary file that the page cache serves.

    Raises:
        DataError: Not one file can be decoded.
    """
    return read_kept(paths, config=config)[0]


def read_kept(paths: Sequence[Path], *, config: DataConfig) -> tuple[Tensor, list[int]]:
    """The same, and which of the paths could be decoded: their indices, in order.

    Raises:
        DataError: Not one file can be decoded.
    """
    images = _room_for((len(paths), *config.image_shape))
    bad: list[str] = []
    kept: list[int] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of oddities that leave the pixels whole
        for index, pixels in enumerate(_prepared(paths, config)):
            if isinstance(pixels, str):
                bad.append(f"{paths[index]} ({pixels})")
            else:
                images[len(kept)] = pixels
                kept.append(index)
    _report(bad, num_files=len(paths))
    return torch.from_numpy(images[: len(kept)]), kept


def _prepared(paths: Sequence[Path], config: DataConfig) -> Iterable[UInt8Array | str]:
    prepared = read_ahead(lambda path: _read_file(path, config), paths, num_threads=os.cpu_count() or 1)
    if len(paths) < MIN_FILES_FOR_PROGRESS:
        return prepared
    return track(prepared, "Reading images", total=len(paths), transient=True)


def _read_file(path: Path, config: DataConfig) -> UInt8Array | str:
    """Pixels, or why there are none."""
    try:
        with Image.open(path) as picture:
            if picture.mode == "F":
                return "has pixels of 32 bits, whose range is not known"
            return prepare(picture, preprocessing=config.preprocessing, image_shape=config.image_shape)
    except DECODE_ERRORS as error:
        if isinstance(error, Image.DecompressionBombError):
            return "is too large"
        if isinstance(error, OSError) and error.errno is not None:
            return str(error.strerror)
        return "is empty" if path.stat().st_size == 0 else "is damaged or no image"


def _room_for(shape: tuple[int, ...]) -> UInt8Array:
    num_bytes = math.prod(shape)
    if num_bytes <= MAX_MEMORY_BYTES:
        return np.empty(shape, dtype=np.uint8)
    with tempfile.TemporaryFile() as file:
        _reserve(file.fileno(), num_bytes)
        return np.memmap(file, dtype=np.uint8, mode="w+", shape=shape)


def _reserve(descriptor: int, num_bytes: int) -> None:
    # Where a mapped file meets the end of its disk the system ends the process without a word.
    folder = tempfile.gettempdir()
    try:
        if shutil.disk_usage(folder).free < num_bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, num_bytes)
    except OSError as error:
        raise DataError(
            f"the images need {num_bytes / 1e9:.1f} GB in {folder}: {error.strerror}; "
            "set TMPDIR to a folder with so much room, or use --limit"
        ) from None


def _report(bad: Sequence[str], *, num_files: int) -> None:
    """Say which files are bad, each with its problem."""
    if not bad:
        return
    names = ", ".join(bad[:MAX_NAMED_FILES])
    more = f" and {len(bad) - MAX_NAMED_FILES} more" if len(bad) > MAX_NAMED_FILES else ""
    if len(bad) == num_files:
        raise DataError(f"none of the {num_files} image files can be decoded: {names}{more}")
    logger.warning("skipped %d of %d files that cannot be decoded: %s%s", len(bad), num_files, names, more)
