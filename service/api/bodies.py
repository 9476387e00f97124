"""Request bodies to checked values: parsed JSON, and latents.

Shapes: N images, D latent size.
"""

import re
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import orjson
from starlette.requests import Request

from service.api.arrays import read_npy
from service.api.negotiation import media_type
from service.api.query import with_query
from service.api.schemas import DecodeRequest, ImageOptions
from service.api.validation import out_of_range, shown, validated
from service.errors import BadBody, InvalidValue, UnsupportedMediaType
from service.scripted import Float32Array
from service.vae.noise import MAX_SEED

JSON = "application/json"
NPY = "application/x-npy"
# What bodies are sent as where nobody said anything: curl calls whatever -d and --data-binary send a form.
UNSAID = ("", "application/x-www-form-urlencoded")
# Lists, objects and texts that a body may have, more than images in nested lists are made of: while a million
# of them are parsed, every other request waits for half a second.
MAX_PARTS = 100_000
# What NaN and Infinity look like where JSON should have a number, or the character before.
NUMBER = re.compile(r"[^\w\"-]?(?P<number>-?(?:(?P<word>NaN|Infinity)\b|\d[\d.eE+-]*))")


async def read_json(request: Request) -> object:
    """Parse a JSON body; an empty body is an empty object.

    Raises:
        UnsupportedMediaType: Sent as something else.
        BadBody: Not JSON.
        InvalidValue: NaN or Infinity, which JSON has no words for.
    """
    sent_as = media_type(request.headers.get("content-type"))
    if sent_as != JSON:
        raise unsupported(sent_as, (JSON,))
    return parse_json(await request.body())


def parse_json(content: bytes) -> object:
    """Parse JSON text; see read_json."""
    if not content:
        return {}
    if len(content) > MAX_PARTS and _num_parts(content) > MAX_PARTS:
        problem = f"the body has more than {MAX_PARTS:,} lists, objects and texts; send arrays as binary data"
        raise BadBody(problem, code="json-too-many-parts")
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        number = NUMBER.match(error.doc, max(0, error.pos - 1))
        if number is not None and (number["word"] or "infinity" in error.msg):
            _refuse(number["number"])
        raise BadBody(f"the body is not JSON: {error}", code="bad-json") from None


def _num_parts(content: bytes) -> int:
    return content.count(b"[") + content.count(b"{") + content.count(b'"') // 2


async def read_latents(request: Request) -> DecodeRequest:
    """The latents of a request, an array or what JSON holds, still to be checked by `latents`.

    Raises:
        UnsupportedMediaType: Neither JSON nor npy.
        BadBody: Not what its Content-Type says.
        InvalidValue: Not of the fields of a DecodeRequest, or an array of another kind.
    """
    sent_as = media_type(request.headers.get("content-type"))
    if sent_as == NPY:
        rows = read_npy(
            await request.body(), dtypes=("float32", "float64"), shape="(n, latent_dim)", num_axes=2
        )
        content: object = {"z": rows}
    elif sent_as == JSON:
        content = await read_json(request)
    else:
        raise unsupported(sent_as, (JSON, NPY))
    return validated(DecodeRequest, with_query(request, content, ImageOptions))


def latents(rows: object, latent_dim: int, max_images: int) -> Float32Array:
    """Check the field `z` of a request: lists, or an array, to float32 (N, D), every number finite.

    Raises:
        InvalidValue: Naming the first row that is wrong, and the shape expected.
    """
    expected = f"a list of 1 to {max_images} lists of {latent_dim} numbers"
    if isinstance(rows, np.ndarray):
        if not 1 <= len(rows) <= max_images or rows.shape[1] != latent_dim:
            found = " x ".join(map(str, rows.shape))
            raise InvalidValue(
                f"z must be an array of 1 to {max_images} x {latent_dim}, got {found}",
                param="z",
                code="z-wrong-shape",
            )
        return _finite(rows)
    is_flat = isinstance(rows, list) and bool(rows) and not isinstance(rows[0], list)
    if not isinstance(rows, list) or not (is_flat or 1 <= len(rows) <= max_images):
        raise InvalidValue(f"z must be {expected}, got {_described(rows)}", param="z", code="z-wrong-shape")
    for index, row in enumerate(rows):
        _check_row(row, latent_dim, f"z[{index}]")
    return _finite(np.array(rows, np.float64))


def end(value: object, param: str, latent_dim: int) -> int | Float32Array:
    """Check an end of an interpolation: a seed, or one latent, float32 (D,).

    Raises:
        InvalidValue: It is neither.
    """
    if isinstance(value, list):
        _check_row(value, latent_dim, param)
        z: Float32Array = _finite(np.array([value], np.float64), param)[0]
        return z
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MAX_SEED:
        seed = int(value)
        if seed == value:
            return seed
    expected = f"a seed between 0 and {MAX_SEED} or a list of {latent_dim} numbers"
    raise out_of_range(param, expected, value)


def _check_row(row: object, latent_dim: int, param: str) -> None:
    if not isinstance(row, list) or len(row) != latent_dim:
        problem = f"{param} must be a list of {latent_dim} numbers, got {_described(row)}"
        hint = "" if isinstance(row, list) else "; z is a list of latents, [[...], ...]"
        raise InvalidValue(problem + hint, param=param, code="z-wrong-shape")
    if not set(map(type, row)) <= {float, int}:
        raise InvalidValue(f"{param} must hold numbers only", param=param, code="z-not-numbers")


def _finite(rows: npt.NDArray[np.floating[Any]], param: str | None = None) -> Float32Array:
    with np.errstate(over="ignore"):
        z = rows.astype(np.float32)
    if not np.isfinite(z).all():
        param = param or f"z[{int(np.argmin(np.isfinite(z).all(axis=1)))}]"
        problem = f"{param} must hold finite numbers within the range of float32"
        raise InvalidValue(problem, param=param, code="z-not-finite")
    return z


def unsupported(sent_as: str, taken: Sequence[str], *, example: str = JSON) -> UnsupportedMediaType:
    """The error for a body of another form than those that are taken, of which `example` is one."""
    forms = taken[0] if len(taken) == 1 else f"one of {', '.join(taken)}"
    problem = f"the body must be sent as {forms}, got {sent_as or 'no Content-Type'}"
    hint = f"; set its Content-Type, with curl -H 'content-type: {example}'" if sent_as in UNSAID else ""
    return UnsupportedMediaType(problem + hint, param="Content-Type")


def _refuse(number: str) -> NoReturn:
    raise InvalidValue(f"the number {shown(number)} is not finite", code="not-finite") from None


def _described(value: object) -> str:
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return "nothing" if value is None else shown(value)
