"""Bodies to arrays: every form of a tensor gives the same array, and what is wrong is named."""

import json
from collections.abc import Mapping

import numpy as np
import pytest

from service.api.protocol.inference import Inference, read_inference
from service.api.protocol.schemas import tensors
from service.errors import BadBody, ClientError, InvalidValue
from tests import tiny_vae

KNOWN = tensors(tiny_vae.metadata())
MAX_IMAGES = 4
Z = np.array([[0.5, -1, 2, 0], [0, 1, 1e-3, -7]], np.float32)
PIXELS = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)


def tensor(values: np.ndarray, **changes: object) -> dict[str, object]:
    """The JSON of an array, less its data, with `changes`; those that are None are left out."""
    names = {"float32": ("z", "FP32"), "uint8": ("images", "UINT8")}
    name, datatype = names[values.dtype.name]
    made = {"name": name, "datatype": datatype, "shape": list(values.shape), **changes}
    return {key: value for key, value in made.items() if value is not None}


def read(content: bytes | object, json_length: str | None = None) -> Inference:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return read_inference(text, json_length, KNOWN, MAX_IMAGES)


def with_bytes(values: np.ndarray, size: object = None, **changes: object) -> tuple[bytes, str]:
    """A body of JSON and the bytes of an array, and the length of the JSON."""
    size = values.nbytes if size is None else size
    text = json.dumps({"inputs": [tensor(values, parameters={"binary_data_size": size}, **changes)]}).encode()
    return text + values.tobytes(), str(len(text))


@pytest.mark.parametrize("values", [Z, PIXELS], ids=["z", "images"])
def test_flat_nested_and_binary_tensors_are_the_same_array(values: np.ndarray) -> None:
    bodies = [
        read({"inputs": [tensor(values, data=values.ravel().tolist())]}),
        read({"inputs": [tensor(values, data=values.tolist())]}),
        read({"inputs": [tensor(values, data=values.reshape(len(values), -1).tolist())]}),
        read(*with_bytes(values)),
    ]
    for asked in bodies:
        assert asked.rows.dtype == values.dtype
        np.testing.assert_array_equal(asked.rows, values)


def test_whole_numbers_may_be_written_as_decimals() -> None:
    data = PIXELS.astype(float).ravel().tolist()
    np.testing.assert_array_equal(read({"inputs": [tensor(PIXELS, data=data)]}).rows, PIXELS)


def test_every_output_of_an_input_is_wanted_unless_some_are_named() -> None:
    images, z = tensor(PIXELS, data=PIXELS.tolist()), tensor(Z, data=Z.tolist())
    assert read({"inputs": [images]}).outputs == [("mu", False), ("log_var", False)]
    assert read({"inputs": [images], "outputs": []}).outputs == [("mu", False), ("log_var", False)]
    assert read({"inputs": [z]}).outputs == [("images", False)]
    assert read({"inputs": [images], "outputs": [{"name": "log_var"}]}).outputs == [("log_var", False)]


@pytest.mark.parametrize(
    ("by_default", "by_itself", "as_bytes"),
    [(None, None, False), (True, None, True), (False, True, True), (True, False, False), (1, None, False)],
)
def test_an_output_comes_as_bytes_where_it_or_else_the_request_says_so(
    by_default: object, by_itself: object, as_bytes: bool
) -> None:
    parameters = {} if by_itself is None else {"binary_data": by_itself}
    body: dict[str, object] = {
        "inputs": [tensor(Z, data=Z.tolist())],
        "outputs": [{"name": "images", "parameters": parameters}],
    }
    if by_default is not None:
        body["parameters"] = {"binary_data_output": by_default}
    assert read(body).outputs == [("images", as_bytes)]


def test_an_id_is_kept_and_what_is_not_known_is_passed_over() -> None:
    z = {**tensor(Z, data=Z.tolist()), "note": 1}
    asked = read({"id": "42", "inputs": [z], "parameters": {"priority": 3}, "more": None})
    assert asked.id == "42"


def changed(values: np.ndarray = Z, **changes: object) -> Mapping[str, object]:
    return {"inputs": [tensor(values, **{"data": values.tolist(), **changes})]}


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        ([], "the body", "valid dictionary"),
        ({}, "inputs", "Field required"),
        ({"inputs": []}, "inputs", "at least 1 item"),
        ({"inputs": [tensor(Z), tensor(PIXELS)]}, "inputs", "at most 1 item"),
        ({"inputs": [tensor(Z), tensor(Z)]}, "inputs", "at most 1 item"),
        (changed(name="noise"), "inputs[0].name", "'images' or 'z', got 'noise'"),
        (changed(name=None), "inputs[0].name", "Field required"),
        (changed(shape=[2, True]), "inputs[0].shape[1]", "must be a number, got true"),
        (changed(shape=[2, 4.5]), "inputs[0].shape[1]", "integer"),
        (changed(shape=[-2, 4]), "inputs[0].shape", r"must be \[n, 4\] with n from 1 to 4, got \[-2, 4\]"),
        (changed(shape=[0, 4], data=[]), "inputs[0].shape", "n from 1 to 4"),
        (changed(shape=[5, 4]), "inputs[0].shape", "n from 1 to 4, got"),
        (changed(shape=[4, 2]), "inputs[0].shape", r"\[n, 4\]"),
        (changed(PIXELS, shape=[2, 3, 8, 8]), "inputs[0].shape", r"\[n, 8, 8, 3\].*got \[2, 3, 8, 8\]"),
        (changed(datatype="FP64"), "inputs[0].datatype", "'UINT8' or 'FP32'"),
        (changed(datatype="UINT8"), "inputs[0].datatype", "of z must be FP32, got UINT8"),
        (changed(data=None), "inputs[0].data", "8 numbers, flat or nested as .*, got nothing"),
        (changed(data=[1.0] * 7), "inputs[0].data", "got 7"),
        (changed(data=[[1.0] * 4, 2.0]), "inputs[0].data", "got something else"),
        (changed(data=[[[1.0] * 4], [[1.0] * 4]]), "inputs[0].data", "got something else"),
        (changed(data="AAAA"), "inputs[0].data", "got something else"),
        (changed(data=[True] * 8), "inputs[0].data", "numbers.* and nothing else"),
        (changed(data=["1"] * 8), "inputs[0].data", "numbers.* and nothing else"),
        (changed(data=[None] * 8), "inputs[0].data", "numbers.* and nothing else"),
        (changed(data=[1e39, *[0] * 7]), "z[0]", "finite numbers within the range of float32"),
        (changed(data=[10**400, *[0] * 7]), None, "is not finite"),
        (changed(PIXELS, data=[256, *[0] * 383]), "inputs[0].data", "whole numbers from 0 to 255"),
        (changed(PIXELS, data=[-1, *[0] * 383]), "inputs[0].data", "whole numbers from 0 to 255"),
        (changed(PIXELS, data=[0.5, *[0] * 383]), "inputs[0].data", "whole numbers from 0 to 255"),
        (changed(parameters=[]), "inputs[0].parameters", "valid dictionary"),
        ({**changed(), "id": 7}, "id", "valid string"),
        ({**changed(), "outputs": [{}]}, "outputs[0].name", "Field required"),
        ({**changed(), "outputs": [{"name": "mu"}]}, "outputs[0].name", "must be images, got 'mu'"),
        (
            {**changed(PIXELS), "outputs": [{"name": "mu"}, {"name": "images"}]},
            "outputs[1].name",
            "must be mu or log_var, got 'images'",
        ),
        ({**changed(), "outputs": [{"name": "images"}] * 2}, "outputs[1].name", "got 'images' twice"),
        ({**changed(PIXELS), "outputs": [{"name": "mu"}] * 2}, "outputs[1].name", "got 'mu' twice"),
        ({**changed(), "outputs": [{"name": "images"}] * 20_000}, "outputs", "at most 2 items"),
    ],
)
def test_what_is_wrong_is_named(body: object, param: str | None, words: str) -> None:
    with pytest.raises(ClientError, match=words) as caught:
        read(body)
    if param is not None:
        assert isinstance(caught.value, InvalidValue)
        assert caught.value.param == param
        assert param in str(caught.value)


@pytest.mark.parametrize(
    ("size", "json_length", "cut", "param", "words"),
    [
        (None, None, 0, "body", "not JSON"),
        (None, "9999", 0, "Inference-Header-Content-Length", "a number of bytes of the body, which has"),
        (None, "-1", 0, "Inference-Header-Content-Length", "got '-1'"),
        (None, "", 0, "Inference-Header-Content-Length", "got ''"),
        (None, "٣", 0, "Inference-Header-Content-Length", "a number of bytes"),
        (None, "9" * 5000, 0, "Inference-Header-Content-Length", "a number of bytes"),
        (None, "0" * 5000, 0, "Inference-Header-Content-Length", "a number of bytes"),
        (None, "3", 0, "body", "not JSON"),
        (31, "right", 0, "inputs[0].parameters.binary_data_size", "must be 32, .*; got 31 and 32 bytes"),
        (None, "right", 4, "inputs[0].parameters.binary_data_size", "must be 32, .*; got 32 and 28 bytes"),
        ("32", "right", 0, "inputs[0].parameters.binary_data_size", "got '32' and 32 bytes"),
        (True, "right", 0, "inputs[0].parameters.binary_data_size", "got true and 32 bytes"),
    ],
)
def test_bytes_that_are_not_what_the_json_says_are_refused(
    size: object, json_length: str | None, cut: int, param: str, words: str
) -> None:
    content, right = with_bytes(Z, size)
    content = content[: len(content) - cut]
    with pytest.raises((BadBody, InvalidValue), match=words) as caught:
        read(content, right if json_length == "right" else json_length)
    assert param == "body" or param in str(caught.value)


def test_bytes_need_a_claim_and_a_claim_needs_the_length_of_the_json() -> None:
    text = json.dumps(changed()).encode()
    with pytest.raises(
        InvalidValue, match=r"^4 bytes follow the JSON, and inputs\[0\]\.parameters has no binary"
    ):
        read(text + b"1234", str(len(text)))
    text = json.dumps({"inputs": [tensor(Z, parameters={"binary_data_size": 32})]}).encode()
    with pytest.raises(InvalidValue, match="Inference-Header-Content-Length must say how long"):
        read(text)


def test_latents_as_bytes_must_be_finite() -> None:
    bad = Z.copy()
    bad[1, 2] = np.nan
    with pytest.raises(InvalidValue, match=r"z\[1\] must hold finite numbers"):
        read(*with_bytes(bad))
