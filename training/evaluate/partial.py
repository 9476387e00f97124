"""What is known so far of a long computation, one number an image, kept in a file until it is finished."""

import io
import logging
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import orjson
import torch
from torch import Tensor

from service.whole_file import write_whole

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_SAVES = 10.0


class PartialResults:
    """Numbers that are taken up again where a computation with the same key was stopped.

    Args:
        path: The file.
        key: All that decides the numbers: another key starts anew.
        num_images: How many there will be.
    """

    def __init__(self, path: Path, *, key: Mapping[str, object], num_images: int) -> None:
        self.path = path
        self._key = orjson.dumps(dict(key), option=orjson.OPT_SORT_KEYS).decode()
        self.values = self._read(num_images)
        self._saved_at = time.monotonic()

    def missing(self) -> list[int]:
        """Indices of the images whose numbers are not known yet."""
        indices: list[int] = self.values.isnan().nonzero()[:, 0].tolist()
        return indices

    def add(self, indices: list[int], values: Tensor) -> None:
        """Take in numbers, float64 (B,), and save them with those before from time to time."""
        self.values[indices] = values
        if time.monotonic() - self._saved_at > SECONDS_BETWEEN_SAVES:
            self.save()

    def save(self) -> None:
        """Write the file, whole or not at all; where that fails, warn."""
        self._saved_at = time.monotonic()
        content = io.BytesIO()
        np.savez(content, key=np.array(self._key), values=self.values.numpy())
        try:
            write_whole(self.path, content.getbuffer())
        except OSError as error:  # no reason to lose what is computed
            logger.warning("%s cannot be written (%s): stopping would lose what is known", self.path, error)

    def _read(self, num_images: int) -> Tensor:
        unknown = torch.full((num_images,), torch.nan, dtype=torch.float64)
        try:
            with np.load(io.BytesIO(self.path.read_bytes()), allow_pickle=False) as arrays:
                key, values = str(arrays["key"]), torch.from_numpy(arrays["values"])
        except FileNotFoundError:
            return unknown
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            logger.warning("%s is damaged: starting anew", self.path)
            return unknown
        if key != self._key or values.shape != unknown.shape:
            logger.info("%s is of another evaluation: starting anew", self.path)
            return unknown
        return values
