"""A request's body to its tensor, checked, and to what is asked for.

Shapes: N images or latents, H height, W width, C channels, D latent size.
"""

import math
import re
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from service.api.bodies import latents, parse_json
from service.api.protocol.schemas import (
    IMAGES,
    OUTPUTS,
    InferenceRequest,
    InputTensor,
    TensorMetadata,
)
from service.api.validation import shown
from service.errors import BadBody, InvalidValue

# Of the JSON before the bytes of tensors.
LENGTH_HEADER = "Inference-Header-Content-Length"
LENGTH = re.compile(r"[0-9]{1,20}")
DTYPES: Mapping[str, np.dtype[Any]] = {"UINT8": np.dtype("u1"), "FP32": np.dtype("<f4")}
INPUT = "inputs[0]"


class Inference(NamedTuple):
    """What is asked for.

    Attributes:
        id: To be sent back.
        name: Of the tensor: images or z.
        rows: uint8 (N, H, W, C) or float32 (N, D).
        outputs: Names of what is wanted, and whether each is to come as bytes.
    """

    id: str | None
    name: str
    rows: npt.NDArray[Any]
    outputs: Sequence[tuple[str, bool]]


def read_inference(
    content: bytes, json_length: str | None, known: Mapping[str, TensorMetadata], max_images: int
) -> Inference:
    """Take a body apart.

    Args:
        content: JSON, and after it the bytes of a tensor, where it comes so.
        json_length: How long the JSON is, as the header says it; None where all of it is JSON.
        known: The tensors of the model.
        max_images: Rows that a request may have.

    Raises:
        BadBody: Not JSON, or not as long as the header says.
        InvalidValue: Naming the field that is wrong, and what is expected.
    """
    text, tail = _split(content, json_length)
    asked = _validated(parse_json(text))
    (tensor,) = asked.inputs
    shape = _checked_shape(tensor, known[tensor.name], max_images)
    if "binary_data_size" in tensor.parameters:
        rows = _from_bytes(tensor, shape, tail, has_length=json_length is not None)
    elif tail:
        problem = f"{len(tail)} bytes follow the JSON, and {INPUT}.parameters has no binary_data_size"
        raise InvalidValue(problem, param=f"{INPUT}.parameters", code="tensor-wrong-size")
    else:
        rows = _from_json(tensor, shape)
    if tensor.name != IMAGES:
        rows = latents(rows, shape[1], max_images)
    return Inference(asked.id, tensor.name, rows, _outputs(asked, OUTPUTS[tensor.name]))


def _split(content: bytes, json_length: str | None) -> tuple[bytes, bytes]:
    if json_length is None:
        return content, b""
    if not LENGTH.fullmatch(json_length) or int(json_length) > len(content):
        problem = f"{LENGTH_HEADER} must be a number of bytes of the body, which has {len(content)}"
        raise BadBody(f"{problem}, got {shown(json_length)}", param=LENGTH_HEADER, code="bad-json-length")
    return content[: int(json_length)], content[int(json_length) :]


def _validated(content: object) -> InferenceRequest:
    try:
        return InferenceRequest.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
        field = field.removeprefix(".") or "the body"
        raise InvalidValue(f"{field}: {first['msg']}, got {shown(first['input'])}", param=field) from None


def _checked_shape(tensor: InputTensor, known: TensorMetadata, max_images: int) -> tuple[int, ...]:
    if tensor.datatype != known.datatype:
        problem = f"{INPUT}.datatype of {tensor.name} must be {known.datatype}, got {tensor.datatype}"
        raise InvalidValue(problem, param=f"{INPUT}.datatype", code="tensor-wrong-datatype")
    num, *row = tensor.shape
    if row != known.shape[1:] or not 1 <= num <= max_images:
        expected = f"[n, {', '.join(map(str, known.shape[1:]))}] with n from 1 to {max_images}"
        problem = f"{INPUT}.shape of {tensor.name} must be {expected}, got {shown(tensor.shape)}"
        raise InvalidValue(problem, param=f"{INPUT}.shape", code="tensor-wrong-shape")
    return num, *row


def _from_bytes(
    tensor: InputTensor, shape: tuple[int, ...], tail: bytes, *, has_length: bool
) -> npt.NDArray[Any]:
    field, dtype = f"{INPUT}.parameters.binary_data_size", DTYPES[tensor.datatype]
    if not has_length:
        problem = f"{LENGTH_HEADER} must say how long the JSON is, since {field} says that bytes follow it"
        raise InvalidValue(problem, param=LENGTH_HEADER, code="bad-json-length")
    size, expected = tensor.parameters["binary_data_size"], math.prod(shape) * dtype.itemsize
    if type(size) is not int or size != expected or len(tail) != expected:
        problem = f"{field} must be {expected}, as many bytes as follow the JSON"
        found = f"got {shown(size)} and {len(tail)} bytes"
        raise InvalidValue(f"{problem}; {found}", param=field, code="tensor-wrong-size")
    return np.frombuffer(tail, dtype).reshape(shape)


def _from_json(tensor: InputTensor, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    values = _flat(tensor.data, len(shape))
    expected = f"{math.prod(shape)} numbers, flat or nested as {list(shape)}"
    if values is None or len(values) != math.prod(shape):
        found = "nothing" if tensor.data is None else "something else" if values is None else len(values)
        _refuse_data(f"must be {expected}, got {found}")
    if not set(map(type, values)) <= {int, float}:
        _refuse_data(f"must be {expected} and nothing else")
    rows = np.array(values, np.float64).reshape(shape)
    if tensor.name != IMAGES:
        return rows
    pixels = rows.astype(np.uint8, casting="unsafe") if ((rows >= 0) & (rows <= 255)).all() else None
    if pixels is None or (pixels != rows).any():
        _refuse_data("must be of whole numbers from 0 to 255")
    return pixels


def _flat(data: object, num_axes: int) -> list[Any] | None:
    """The numbers in nested lists, None where they are nested deeper or unevenly."""
    for _ in range(num_axes):
        if not isinstance(data, list):
            return None
        if not any(isinstance(part, list) for part in data):
            return data
        if not all(isinstance(part, list) for part in data):
            return None
        data = list(chain.from_iterable(data))
    return None


def _refuse_data(problem: str) -> NoReturn:
    raise InvalidValue(f"{INPUT}.data {problem}", param=f"{INPUT}.data", code="tensor-wrong-data")


def _outputs(asked: InferenceRequest, there: Sequence[str]) -> list[tuple[str, bool]]:
    """Names, and whether each is to come as bytes."""
    as_bytes = asked.parameters.get("binary_data_output") is True
    if not asked.outputs:
        return [(name, as_bytes) for name in there]
    for index, output in enumerate(asked.outputs):
        field = f"outputs[{index}].name"
        if output.name not in there:
            problem = f"{field} must be {' or '.join(there)}, got {shown(output.name)}"
            raise InvalidValue(problem, param=field, code="unknown-output")
        if any(output.name == other.name for other in asked.outputs[:index]):
            problem = f"{field} must not be one that was named before, got {shown(output.name)} twice"
            raise InvalidValue(problem, param=field, code="repeated-output")
    return [(output.name, output.parameters.get("binary_data", as_bytes) is True) for output in asked.outputs]
