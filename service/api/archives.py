"""Files in one file: zip, tar, and NumPy's npy. The same content gives the same bytes at any time."""

import io
import tarfile
import zipfile
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

# The first that a zip can hold.
ZIP_TIME = (1980, 1, 1, 0, 0, 0)


def zip_of(files: Iterable[tuple[str, bytes]]) -> bytes:
    """Names and contents, stored and not deflated: pictures are as small as they get."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as target:
        for name, content in files:
            target.writestr(zipfile.ZipInfo(name, ZIP_TIME), content)
    return archive.getvalue()


def tar_of(files: Iterable[tuple[str, bytes]]) -> bytes:
    """Names and contents, of nobody and of 1970."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as target:
        for name, content in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            target.addfile(entry, io.BytesIO(content))
    return archive.getvalue()


def npy_of(array: npt.NDArray[Any]) -> bytes:
    """An array as numpy.load reads it: version 1.0 of the format, C order."""
    file = io.BytesIO()
    np.lib.format.write_array(file, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
    return file.getvalue()
