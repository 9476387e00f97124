"""Arrays come out as they were saved; what declares more than it holds, or no numbers, is refused."""

import io
import zipfile

import numpy as np
import pytest

from service.trust.arrays import read_arrays


def npz(**parts: bytes) -> bytes:
    """An npz file of npy files as bytes."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name, part in parts.items():
            file.writestr(f"{name}.npy", part)
    return content.getvalue()


def npy(array: np.ndarray, **changes: object) -> bytes:
    """An npy file, with changes to what its header says."""
    content = io.BytesIO()
    header = {
        "descr": np.lib.format.dtype_to_descr(array.dtype),
        "fortran_order": False,
        "shape": array.shape,
    }
    np.lib.format.write_array_header_1_0(content, {**header, **changes})
    return content.getvalue() + array.tobytes()


NUMBERS = np.arange(6, dtype=np.float32).reshape(2, 3)


def test_what_numpy_saves_is_read() -> None:
    content = io.BytesIO()
    np.savez(content, a=NUMBERS, b=np.array([[1, 255]], np.uint8), c=NUMBERS)
    arrays = read_arrays(content.getvalue(), ["a", "b"])
    assert list(arrays) == ["a", "b"]
    np.testing.assert_array_equal(arrays["a"], NUMBERS)
    np.testing.assert_array_equal(arrays["b"], np.array([[1, 255]], np.uint8))
    assert (arrays["a"].dtype, arrays["b"].dtype) == (np.float32, np.uint8)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "not a zip file"),
        (npz(), "There is no item named 'a.npy'"),
        (npz(a=b"no array at all"), "magic"),
        (npz(a=npy(NUMBERS, shape=(10**12,))), "cannot reshape"),
        (npz(a=npy(NUMBERS, shape=(2, 4))), "cannot reshape"),
        (npz(a=npy(NUMBERS, shape=(-1, 3, -1))), "can only specify one unknown dimension"),
        (npz(a=npy(NUMBERS, fortran_order=True)), "not an array of numbers, row by row"),
        (npz(a=npy(np.array(["text"]))), "not an array of numbers"),
        (npz(a=npy(np.array([0], object))), "not an array of numbers"),
        (npz(a=npy(np.array([np.nan]))), "not finite"),
        (npz(a=npy(np.array([-np.inf], np.float32))), "not finite"),
        (npz(a=b"\x93NUMPY\x02" + npy(NUMBERS)[7:]), "version 1.0"),
        (npz(a=npy(NUMBERS)).replace(b"'shape'", b"'shaqe'"), "Bad CRC-32"),
    ],
    ids=[
        "nothing",
        "missing",
        "no array",
        "vast",
        "too large",
        "negative",
        "columns",
        "text",
        "objects",
        "nan",
        "infinite",
        "version",
        "changed",
    ],
)
def test_what_is_no_array_of_finite_numbers_is_refused(content: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read_arrays(content, ["a"])


def test_compressed_arrays_are_refused() -> None:
    content = io.BytesIO()
    np.savez_compressed(content, a=np.zeros(2**20))
    with pytest.raises(ValueError, match=r"a\.npy is compressed"):
        read_arrays(content.getvalue(), ["a"])
