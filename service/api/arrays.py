"""NumPy's npy as a request body: read within its bounds, without pickles, its header not trusted."""

import io
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from service.errors import BadBody, InvalidValue

HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_npy(content: bytes, *, dtypes: tuple[str, ...], shape: str, num_axes: int) -> npt.NDArray[Any]:
    """The array of an npy file, a view of its bytes.

    Args:
        content: The file.
        dtypes: Those that are taken, by NumPy's names.
        shape: What is expected, for the message.
        num_axes: Of it.

    Raises:
        BadBody: Not an npy file, or not as long as its header says.
        InvalidValue: Of another dtype, order or number of axes.
    """
    file = io.BytesIO(content)
    try:
        read_header = HEADERS[np.lib.format.read_magic(file)]
        sizes, is_fortran, dtype = read_header(file)
    except (KeyError, ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        raise BadBody("the body is not an npy file of version 1.0 or 2.0", code="bad-npy") from None
    expected = f"{' or '.join(dtypes)} {shape} in C order"
    if dtype.name not in dtypes or is_fortran or len(sizes) != num_axes:
        found = f"{dtype.name} of {len(sizes)} axes{' in Fortran order' if is_fortran else ''}"
        raise InvalidValue(f"the array must be {expected}, got {found}", param="body", code="npy-wrong-shape")
    if math.prod(sizes) * dtype.itemsize != len(content) - file.tell() or min(sizes) < 0:
        raise BadBody("the npy file is not as long as its header says", code="bad-npy")
    return np.frombuffer(content, dtype, offset=file.tell()).reshape(sizes)
