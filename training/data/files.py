"""Many image files -> one uint8 tensor, read once; files that cannot be decoded are named and skipped."""

import logging
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rich.progress import track
from torch import Tensor

from training.config import DataConfig
from training.data.preparation import UInt8Array, prepare
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
    bad: list[Path] = []
    kept: list[int] = []
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        prepared = threads.map(lambda path: _read_file(path, config), paths, chunksize=16)
        if len(paths) >= MIN_FILES_FOR_PROGRESS:
            prepared = iter(track(prepared, "Reading images", total=len(paths), transient=True))
        for index, pixels in enumerate(prepared):
            if pixels is None:
                bad.append(paths[index])
            else:
                images[len(kept)] = pixels
                kept.append(index)
    _report(bad, num_files=len(paths))
    return torch.from_numpy(images[: len(kept)]), kept


def _read_file(path: Path, config: DataConfig) -> UInt8Array | None:
    try:
        with Image.open(path) as picture:
            return prepare(picture, preprocessing=config.preprocessing, image_shape=config.image_shape)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _room_for(shape: tuple[int, ...]) -> UInt8Array:
    if np.prod(shape, dtype=np.int64) <= MAX_MEMORY_BYTES:
        return np.empty(shape, dtype=np.uint8)
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, dtype=np.uint8, mode="w+", shape=shape)


def _report(bad: Sequence[Path], *, num_files: int) -> None:
    if not bad:
        return
    names = ", ".join(str(path) for path in bad[:MAX_NAMED_FILES])
    more = f" and {len(bad) - MAX_NAMED_FILES} more" if len(bad) > MAX_NAMED_FILES else ""
    if len(bad) == num_files:
        raise DataError(f"none of the {num_files} image files can be decoded: {names}{more}")
    logger.warning("skipped %d of %d files that cannot be decoded: %s%s", len(bad), num_files, names, more)
