"""Bodies field by field: what is wrong is named with its limits and with what was sent."""

import time

import pytest

from service.api.bodies import latents, parse_json
from service.api.schemas import DecodeRequest, sample_request
from service.api.validation import validated
from service.errors import BadBody, InvalidValue
from service.vae.noise import MAX_SEED

SampleRequest = sample_request(64)


def test_everything_in_a_sample_request_is_optional() -> None:
    asked = validated(SampleRequest, {})
    assert (asked.n, asked.seed, asked.temperature, asked.output_format) == (1, None, 1.0, "png")


@pytest.mark.parametrize("content", [{"n": 1}, {"n": 64}, {"n": 16.0}, {"seed": 0}, {"seed": MAX_SEED}])
def test_values_at_their_limits_are_taken(content: dict[str, object]) -> None:
    (name,) = content
    assert getattr(validated(SampleRequest, content), name) == content[name]


@pytest.mark.parametrize(
    ("content", "param", "words"),
    [
        ({"n": 0}, "n", "n must be between 1 and 64, got 0"),
        ({"n": -1}, "n", "n must be between 1 and 64, got -1"),
        ({"n": 1000}, "n", "n must be between 1 and 64, got 1000"),
        ({"n": "16"}, "n", "a whole number between 1 and 64, got '16'"),
        ({"n": True}, "n", "a whole number between 1 and 64, got true"),
        ({"n": None}, "n", "a whole number between 1 and 64, got null"),
        ({"n": 1.5}, "n", "a whole number between 1 and 64, got 1.5"),
        ({"n": [16]}, "n", r"a whole number between 1 and 64, got \[16\]"),
        ({"n": float("inf")}, "n", "got inf"),
        ({"n": 1e300}, "n", "got 1e\\+300"),
        ({"seed": -1}, "seed", f"between 0 and {MAX_SEED}, got -1"),
        ({"seed": MAX_SEED + 1}, "seed", f"between 0 and {MAX_SEED}"),
        ({"seed": "1"}, "seed", "a whole number"),
        ({"seed": 0.5}, "seed", "a whole number"),
        ({"temperature": -0.1}, "temperature", "between 0 and 2"),
        ({"temperature": 2.1}, "temperature", "between 0 and 2"),
        ({"temperature": float("nan")}, "temperature", "got nan"),
        ({"temperature": "1"}, "temperature", "a number between 0"),
        ({"output_format": "gif"}, "output_format", "'png', 'jpeg' or 'webp', got 'gif'"),
        ({"output_format": 5}, "output_format", "'png', 'jpeg' or 'webp', got 5"),
        ({"prior": "normal"}, "prior", "prior must be 'fitted' or 'standard', got 'normal'"),
        ({"return_z": 1}, "return_z", "return_z must be true or false, got 1"),
        ({"return_z": "true"}, "return_z", "true or false, got 'true'"),
        ({"model": "x" * 65}, "model", "a text of at most 64 characters"),
        ({"model": 5}, "model", "a text of at most 64 characters, got 5"),
        ({"N": 5}, "N", "no field 'N'; there are n, seed, temperature"),
        ({"n": "no number", "N": 5}, "N", "no field 'N'"),
        ({"n": [[16]]}, "n", "got a list of 1$"),
        ({"seed": [{}] * 3}, "seed", "got a list of 3$"),
        ({"seed": [1] * 100}, "seed", "got a list of 100$"),
        ({"model": {"a": 1}}, "model", "characters, got an object of 1 field$"),
        ({"model": {"a": 1, "b": 2}}, "model", "characters, got an object of 2 fields$"),
    ],
)
def test_a_value_out_of_range_is_named_with_its_limits(
    content: dict[str, object], param: str, words: str
) -> None:
    with pytest.raises(InvalidValue, match=words) as caught:
        validated(SampleRequest, content)
    assert caught.value.param == param


@pytest.mark.parametrize("content", [[], "text", 5, None, True])
def test_a_body_that_is_no_object_is_refused(content: object) -> None:
    with pytest.raises(InvalidValue, match="must be a JSON object"):
        validated(SampleRequest, content)


def test_a_long_value_is_shown_shortened() -> None:
    with pytest.raises(InvalidValue) as caught:
        validated(SampleRequest, {"n": "9" * 10_000})
    assert len(caught.value.message) < 200


def test_a_long_field_name_is_shown_shortened() -> None:
    with pytest.raises(InvalidValue) as caught:
        validated(SampleRequest, {"x" * 10_000: 1})
    assert len(caught.value.message) < 200
    assert len(caught.value.param) <= 64


def test_the_first_of_many_unknown_fields_is_named_at_once() -> None:
    content = {f"a{index}": 1 for index in range(500_000)}
    started = time.process_time()
    with pytest.raises(InvalidValue, match="no field 'a0'"):
        validated(SampleRequest, content)
    assert time.process_time() - started < 0.1


def test_what_is_long_is_told_at_once() -> None:
    for value in ([{}] * 2**21, "x" * 2**24, dict.fromkeys(map(str, range(2**20)))):
        started = time.process_time()
        with pytest.raises(InvalidValue):
            validated(SampleRequest, {"seed": value})
        assert time.process_time() - started < 0.1


def test_the_limit_on_n_is_the_servers_own() -> None:
    with pytest.raises(InvalidValue, match="between 1 and 3, got 4"):
        validated(sample_request(3), {"n": 4})


def test_the_json_schema_has_the_limits_of_every_number() -> None:
    properties = SampleRequest.model_json_schema()["properties"]
    seed = next(part for part in properties["seed"]["anyOf"] if part["type"] == "integer")
    limits = [
        (field["minimum"], field["maximum"]) for field in (properties["n"], seed, properties["temperature"])
    ]
    assert limits == [(1, 64), (0, MAX_SEED), (0, 2)]


def test_z_is_asked_for() -> None:
    with pytest.raises(InvalidValue) as caught:
        validated(DecodeRequest, {})
    assert caught.value.param == "z"


def test_z_becomes_float32_rows() -> None:
    z = latents([[0, 1.5], [-2, 1e-3]], 2, 64)
    assert z.dtype == "float32"
    assert z.tolist() == [[0, 1.5], [-2, pytest.approx(1e-3)]]


@pytest.mark.parametrize(
    ("rows", "param"),
    [
        ([], "z"),
        (None, "z"),
        ({}, "z"),
        ("z", "z"),
        ([[0.0, 0.0]] * 65, "z"),
        ([0.0, 0.0], "z[0]"),
        ([[0.0, 0.0], [0.0]], "z[1]"),
        ([[0.0, 0.0], [0.0] * 3], "z[1]"),
        ([[0.0, 0.0], []], "z[1]"),
        ([[0.0, "1"]], "z[0]"),
        ([[0.0, None]], "z[0]"),
        ([[0.0, True]], "z[0]"),
        ([[0.0, [1.0]]], "z[0]"),
        ([[0.0, 0.0], [0.0, float("nan")]], "z[1]"),
        ([[float("-inf"), 0.0]], "z[0]"),
        ([[1e39, 0.0]], "z[0]"),
    ],
)
def test_wrong_latents_are_named_by_their_row(rows: object, param: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        latents(rows, 2, 64)
    assert caught.value.param == param
    assert caught.value.message.startswith(param)


def test_an_empty_body_is_an_empty_object() -> None:
    assert parse_json(b"") == {}


@pytest.mark.parametrize("content", [b"{", b"{]", b"{'n': 1}", b"\xff\xfe", b"[" * 100_000, b"nope"])
def test_what_is_no_json_is_refused(content: bytes) -> None:
    with pytest.raises(BadBody) as caught:
        parse_json(content)
    assert caught.value.code == "bad-json"


@pytest.mark.parametrize(
    "content", [b"\xef\xbb\xbf{}", "{}".encode("utf-16"), b'"\\ud800"'], ids=["BOM", "UTF-16", "half"]
)
def test_json_in_another_encoding_is_not_blamed_on_a_number(content: bytes) -> None:
    with pytest.raises(BadBody) as caught:
        parse_json(content)
    assert caught.value.code == "bad-json"


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1" * 400])
def test_a_number_that_no_float_holds_is_out_of_range(number: str) -> None:
    with pytest.raises(InvalidValue, match="number"):
        parse_json(f'{{"temperature": {number}}}'.encode())


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_json_has_no_word_for_is_named(word: str) -> None:
    with pytest.raises(InvalidValue, match=word):
        parse_json(f'{{"temperature": {word}}}'.encode())
