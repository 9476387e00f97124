"""Parsed bodies against their schemas; what is wrong is said in words, with the limits of the field."""

import functools
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from service.errors import InvalidValue

# JSON Schema's types in words.
KINDS = {"integer": "a whole number", "number": "a number", "string": "a text", "boolean": "true or false"}
# Of what was sent so many characters are repeated in an answer, or so many numbers.
MAX_SHOWN, MAX_LISTED = 40, 8

Body = TypeVar("Body", bound=BaseModel)


def validated(body_type: type[Body], content: object) -> Body:
    """Check a parsed JSON object against a body.

    Raises:
        InvalidValue: Naming the first field that is wrong, its limits, and what was sent.
    """
    if not isinstance(content, dict):
        raise InvalidValue("the body must be a JSON object", code="body-not-an-object")
    known = {field.alias or name: None for name, field in body_type.model_fields.items()}
    # Before one that is missing, which it may have been meant for, and before pydantic lists all of them.
    for name in content:
        if name not in known:
            raise unknown_field(name, known)
    try:
        return body_type.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise _invalid(body_type, first["type"], first["loc"], first["input"]) from None


def unknown_field(name: str, known: Iterable[str]) -> InvalidValue:
    """The error for a field that there is not, naming those that there are."""
    problem = f"there is no field {shown(name)}; there are {', '.join(known)}"
    return InvalidValue(problem, param=name[:64], code="unknown-field")


def out_of_range(param: str, expected: str, found: object) -> InvalidValue:
    """The error for a value outside its limits, worded the same everywhere."""
    return InvalidValue(
        f"{param} must be {expected}, got {shown(found)}",
        param=param,
        code=f"{param.replace('_', '-')}-out-of-range",
    )


def _invalid(
    body_type: type[BaseModel], kind: str, location: tuple[int | str, ...], found: object
) -> InvalidValue:
    param = str(location[0])
    expected = _expected(_properties(body_type)[param])
    if kind == "missing":
        return InvalidValue(
            f"{param} is missing; it must be {expected}", param=param, code=f"{param}-missing"
        )
    if kind in ("greater_than_equal", "less_than_equal"):
        expected = expected.partition(" number ")[2]
    return out_of_range(param, expected, found)


@functools.cache
def _properties(body_type: type[BaseModel]) -> Mapping[str, dict[str, Any]]:
    """The JSON schemas of its fields; making them takes longer than all else that a bad request costs."""
    properties: dict[str, dict[str, Any]] = body_type.model_json_schema()["properties"]
    return properties


def _expected(schema: dict[str, Any]) -> str:
    """A field's type and limits in words, from its JSON schema."""
    if "anyOf" in schema:
        return " or ".join(_expected(part) for part in schema["anyOf"] if part["type"] != "null")
    if "enum" in schema:
        *first, last = map(repr, schema["enum"])
        return f"{', '.join(first)} or {last}"
    if schema["type"] == "array":
        return "a list of lists of numbers" if schema["items"]["type"] == "array" else "a list of numbers"
    kind = KINDS[schema["type"]]
    if "minimum" in schema and "maximum" in schema:
        return f"{kind} between {schema['minimum']} and {schema['maximum']}"
    if "minimum" in schema:
        return f"{kind} of at least {schema['minimum']}"
    return f"{kind} of at most {schema['maxLength']} characters" if "maxLength" in schema else kind


def shown(value: object) -> str:
    """What was sent, in the words of JSON, cut short; of lists and objects the size."""
    if isinstance(value, list) and not (len(value) <= MAX_LISTED and set(map(type, value)) <= {int, float}):
        return f"a list of {len(value)}"
    if isinstance(value, Mapping):
        return f"an object of {len(value)} field{'s' * (len(value) != 1)}"
    if isinstance(value, str):
        value = value[:MAX_SHOWN]
    text = "null" if value is None else repr(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 3]}..."
