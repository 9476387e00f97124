"""Request bodies to checked values: parsed JSON, latents, and images in every form they may be sent.

Shapes: N images, H height, W width, C channels, D latent size.
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from types import MappingProxyType
from typing import Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt
import orjson
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from service.api.arrays import read_npy
from service.api.negotiation import media_type
from service.api.query import parsed, with_query
from service.api.schemas import Body, DecodeRequest, shown, validated
from service.checkpoint import Float32Array, UInt8Array
from service.errors import BadBody, InvalidValue, UnsupportedMediaType
from service.vae.images import FORMATS

JSON = "application/json"
MULTIPART = "multipart/form-data"
NPY = "application/x-npy"
MAX_FIELDS = 16
# What NaN and Infinity look like where JSON should have a number, or the character before.
NUMBER = re.compile(r"[^\w\"-]?(?P<number>-?(?:(?P<word>NaN|Infinity)\b|\d[\d.eE+-]*))")
IMAGE_BODIES = (*FORMATS, MULTIPART, JSON, NPY)


class InMemoryParser(MultiPartParser):
    """Keeps each part in memory, which the limit on bodies bounds; on disk, each would need a thread."""

    spool_max_size = 0


class Upload(NamedTuple):
    """An image file as it was sent.

    Attributes:
        content: The file, its base64, or pixels, uint8 (H, W, C).
        media_type: What it was sent as, None where nothing was said.
        param: The field it came in.
    """

    content: bytes | str | UInt8Array
    media_type: str | None
    param: str

    def file(self) -> bytes:
        """The file itself.

        Raises:
            BadBody: Not base64.
        """
        assert not isinstance(self.content, np.ndarray)
        if isinstance(self.content, bytes):
            return self.content
        try:
            return base64.b64decode(self.content, validate=True)
        except (binascii.Error, ValueError):
            raise BadBody(f"{self.param} is not base64", param=self.param, code="bad-base64") from None


class Uploads(NamedTuple):
    """The images of one request, in order, the model that its body names, and its other fields."""

    images: list[Upload]
    model: str | None = None
    fields: Mapping[str, object] = MappingProxyType({})


async def read_json(request: Request) -> object:
    """Parse a JSON body; an empty body is an empty object.

    Raises:
        UnsupportedMediaType: Sent as something else.
        BadBody: Not JSON.
        InvalidValue: NaN or Infinity, which JSON has no words for.
    """
    sent_as = media_type(request.headers.get("content-type"))
    if sent_as != JSON:
        raise UnsupportedMediaType(
            f"the body must be sent as {JSON}, got {sent_as or 'no Content-Type'}", param="Content-Type"
        )
    return parse_json(await request.body())


def parse_json(content: bytes) -> object:
    """Parse JSON text; see read_json."""
    if not content:
        return {}
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        number = NUMBER.match(error.doc, max(0, error.pos - 1))
        if number is not None and (number["word"] or "infinity" in error.msg):
            _refuse(number["number"])
        raise BadBody(f"the body is not JSON: {error}", code="bad-json") from None


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
        raise _unsupported(sent_as, (JSON, NPY))
    return validated(DecodeRequest, with_query(request, content, ["output_format"]))


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
    if not isinstance(rows, list) or not 1 <= len(rows) <= max_images:
        raise InvalidValue(f"z must be {expected}, got {_described(rows)}", param="z", code="z-wrong-shape")
    for index, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != latent_dim:
            raise InvalidValue(
                f"z[{index}] must be a list of {latent_dim} numbers, got {_described(row)}",
                param=f"z[{index}]",
                code="z-wrong-shape",
            )
        if not set(map(type, row)) <= {float, int}:
            raise InvalidValue(
                f"z[{index}] must hold numbers only", param=f"z[{index}]", code="z-not-numbers"
            )
    return _finite(np.array(rows, np.float64))


def _finite(rows: npt.NDArray[np.floating[Any]]) -> Float32Array:
    with np.errstate(over="ignore"):
        z = rows.astype(np.float32)
    if not np.isfinite(z).all():
        index = int(np.argmin(np.isfinite(z).all(axis=1)))
        problem = f"z[{index}] must hold finite numbers within the range of float32"
        raise InvalidValue(problem, param=f"z[{index}]", code="z-not-finite")
    return z


async def read_uploads(request: Request, max_images: int) -> Uploads:
    """Take the encoded images out of a body: raw, multipart or JSON with base64.

    Raises:
        UnsupportedMediaType: None of the forms of IMAGE_BODIES.
        BadBody: Empty, or not what its Content-Type says.
        InvalidValue: None or too many images.
    """
    sent_as = media_type(request.headers.get("content-type"))
    if sent_as in FORMATS:
        content = await request.body()
        if not content:
            raise BadBody("the body is empty, an image was expected", code="empty-body")
        return Uploads([Upload(content, sent_as, "body")])
    if sent_as == MULTIPART:
        return await _multipart_uploads(request, max_images)
    if sent_as == JSON:
        return _base64_uploads(await read_json(request), max_images)
    if sent_as == NPY:
        return _pixel_uploads(await request.body(), max_images)
    raise _unsupported(sent_as, IMAGE_BODIES)


def _unsupported(sent_as: str, taken: Sequence[str]) -> UnsupportedMediaType:
    found = sent_as or "no Content-Type"
    return UnsupportedMediaType(f"send one of {', '.join(taken)}, got {found}", param="Content-Type")


def upload_options(request: Request, uploads: Uploads, options: type[Body]) -> Body:
    """What goes with uploaded images, in fields of their body or in the query.

    Raises:
        InvalidValue: Naming the first field that is wrong.
    """
    named = {name: uploads.fields[name] for name in options.model_fields if name in uploads.fields}
    return validated(options, with_query(request, named, options.model_fields))


def _pixel_uploads(content: bytes, max_images: int) -> Uploads:
    pixels = read_npy(content, dtypes=("uint8",), shape="(n, height, width, channels)", num_axes=4)
    _check_count(len(pixels), max_images, "images")
    if not 1 <= pixels.shape[3] <= 4 or 0 in pixels.shape:
        found = " x ".join(map(str, pixels.shape))
        problem = f"the images must have 1 to 4 channels and at least a pixel, got {found}"
        raise InvalidValue(problem, param="body", code="npy-wrong-shape")
    return Uploads([Upload(image, None, f"images[{index}]") for index, image in enumerate(pixels)])


async def _multipart_uploads(request: Request, max_images: int) -> Uploads:
    try:
        async with aclosing(request.stream()) as stream:
            parser = InMemoryParser(request.headers, stream, max_files=max_images + 1, max_fields=MAX_FIELDS)
            form = await parser.parse()
    except MultiPartException as error:
        if "Too many files" in error.message:
            raise _count_out_of_range("image", max_images, f"more than {max_images}") from None
        raise BadBody(f"the multipart body cannot be parsed: {error.message}", code="bad-multipart") from None
    try:
        if not form:
            raise BadBody("the multipart body has no fields, an image was expected", code="empty-body")
        files = [
            value for name, value in form.multi_items() if name == "image" and isinstance(value, UploadFile)
        ]
        _check_count(len(files), max_images, "image")
        images = [
            Upload(await file.read(), _declared(file.content_type), f"image[{i}]")
            for i, file in enumerate(files)
        ]
        texts = {name: value for name, value in form.items() if isinstance(value, str)}
        fields = {name: parsed(text) for name, text in texts.items()}
        return Uploads(images, _model(texts.get("model")), fields)
    finally:
        await form.close()


def _declared(content_type: str | None) -> str | None:
    """What a part says it is, where that is a picture; curl says application/octet-stream when unsure."""
    name = media_type(content_type)
    return name if name in FORMATS else None


def _base64_uploads(content: object, max_images: int) -> Uploads:
    body = content if isinstance(content, dict) else {}
    images = body.get("images")
    if not isinstance(images, list) or not all(isinstance(image, str) for image in images):
        raise InvalidValue('the body must be {"images": ["<base64 or data URI>", ...]}', param="images")
    _check_count(len(images), max_images, "images")
    uploads = [_base64_upload(text, f"images[{index}]") for index, text in enumerate(images)]
    return Uploads(uploads, _model(body.get("model")), body)


def _model(name: object) -> str | None:
    if not isinstance(name, str | None):
        raise InvalidValue("model must be a text", param="model")
    return name


def _base64_upload(text: str, param: str) -> Upload:
    if not text.startswith("data:"):
        return Upload(text, None, param)
    prefix, _, content = text.partition(",")
    return Upload(content, _declared(prefix.removeprefix("data:")), param)


def _check_count(num: int, max_images: int, param: str) -> None:
    if not 1 <= num <= max_images:
        raise _count_out_of_range(param, max_images, num)


def _count_out_of_range(param: str, max_images: int, found: object) -> InvalidValue:
    problem = f"{param} must be 1 to {max_images} images, got {found}"
    return InvalidValue(problem, param=param, code=f"{param}-out-of-range")


def _refuse(number: str) -> NoReturn:
    raise InvalidValue(f"the number {shown(number)} is not finite", code="not-finite") from None


def _described(value: object) -> str:
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return "nothing" if value is None else f"a {type(value).__name__}"
