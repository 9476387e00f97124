"""The arrays of an npz file, as numpy writes it, without room being made for what is not there."""

import io
import zipfile
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from service.trust.zip_errors import ZIP_ERRORS


def read_arrays(content: bytes, names: Iterable[str]) -> dict[str, npt.NDArray[Any]]:
    """Read arrays of finite numbers by their names.

    Raises:
        ValueError: One is missing, or not as `numpy.savez` writes it.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            return {name: _read_array(file, f"{name}.npy") for name in names}
    except (KeyError, *ZIP_ERRORS) as error:
        raise ValueError(str(error)) from None


def _read_array(file: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    entry = file.getinfo(name)
    if entry.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name} is compressed")
    content = io.BytesIO(file.read(entry))
    if np.lib.format.read_magic(content) != (1, 0):
        raise ValueError(f"{name} is not in version 1.0 of numpy's format")
    shape, is_by_columns, dtype = np.lib.format.read_array_header_1_0(content)
    if dtype.kind not in "iuf" or is_by_columns:
        raise ValueError(f"{name} is not an array of numbers, row by row")
    array = np.frombuffer(content.read(), dtype).reshape(shape).copy()
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has values that are not finite")
    return array
