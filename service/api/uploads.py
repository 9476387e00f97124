"""Uploaded images, in every form in which they may be sent, and what goes with them.

Shapes: N images, H height, W width, C channels.
"""

import base64
import binascii
from collections.abc import Mapping
from contextlib import aclosing
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from service.api.arrays import read_npy
from service.api.bodies import JSON, NPY, read_json, unsupported
from service.api.negotiation import media_type
from service.api.query import parsed, with_query
from service.api.validation import Body, shown, validated
from service.errors import BadBody, InvalidValue
from service.scripted import UInt8Array
from service.vae.images import FORMATS

MULTIPART = "multipart/form-data"
# Of a form's texts. Others could fail, or give what no answer can repeat: Python has codecs for both.
CHARSETS = ("utf-8", "us-ascii", "iso-8859-1", "windows-1252")
MAX_FIELDS = 16
MAX_NAMED_FIELDS = 4
IMAGE_BODIES = (*FORMATS, MULTIPART, JSON, NPY)
# Where there must be two images no single file will do.
PAIR_BODIES = (MULTIPART, JSON, NPY)
PAIR = range(2, 3)


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

    @property
    def num_bytes(self) -> int:
        """As they were sent."""
        return self.content.nbytes if isinstance(self.content, np.ndarray) else len(self.content)

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


async def read_uploads(request: Request, max_images: int) -> Uploads:
    """Take the encoded images out of a body: raw, multipart, JSON with base64, or an array.

    Raises:
        UnsupportedMediaType: None of the forms of IMAGE_BODIES.
        BadBody: Empty, or not what its Content-Type says.
        InvalidValue: None or too many images.
    """
    counts = range(1, max_images + 1)
    sent_as = media_type(request.headers.get("content-type"))
    if sent_as in FORMATS:
        content = await request.body()
        if not content:
            raise BadBody("the body is empty, an image was expected", code="empty-body")
        return Uploads([Upload(content, sent_as, "body")])
    if sent_as == MULTIPART:
        return await _multipart_uploads(request, counts)
    if sent_as == JSON:
        return _base64_uploads(await read_json(request), counts)
    if sent_as == NPY:
        return _pixel_uploads(await request.body(), counts)
    raise unsupported(sent_as, IMAGE_BODIES, example=IMAGE_BODIES[0])


async def read_pair(request: Request) -> Uploads | object:
    """Take two images out of a body, or what JSON without `images` holds; raises as read_uploads does."""
    sent_as = media_type(request.headers.get("content-type"))
    if sent_as == MULTIPART:
        return await _multipart_uploads(request, PAIR)
    if sent_as == NPY:
        return _pixel_uploads(await request.body(), PAIR)
    if sent_as != JSON:
        raise unsupported(sent_as, PAIR_BODIES)
    content = await read_json(request)
    is_upload = isinstance(content, dict) and "images" in content
    return _base64_uploads(content, PAIR) if is_upload else content


def upload_options(request: Request, uploads: Uploads, options: type[Body]) -> Body:
    """What goes with uploaded images, in fields of their body or in the query.

    Raises:
        InvalidValue: Naming the first field that is wrong.
    """
    named = {name: uploads.fields[name] for name in options.model_fields if name in uploads.fields}
    return validated(options, with_query(request, named, options))


def _pixel_uploads(content: bytes, counts: range) -> Uploads:
    pixels = read_npy(content, dtypes=("uint8",), shape="(n, height, width, channels)", num_axes=4)
    _check_count(len(pixels), counts, "images")
    if not 1 <= pixels.shape[3] <= 4 or 0 in pixels.shape:
        found = " x ".join(map(str, pixels.shape))
        problem = f"the images must have 1 to 4 channels and at least a pixel, got {found}"
        raise InvalidValue(problem, param="body", code="npy-wrong-shape")
    return Uploads([Upload(image, None, f"images[{index}]") for index, image in enumerate(pixels)])


async def _multipart_uploads(request: Request, counts: range) -> Uploads:
    _check_charset(request.headers["content-type"])
    try:
        async with aclosing(request.stream()) as stream:
            parser = InMemoryParser(request.headers, stream, max_files=counts[-1] + 1, max_fields=MAX_FIELDS)
            form = await parser.parse()
    except MultiPartException as error:
        if "Too many files" in error.message:
            raise _count_out_of_range("image", counts, f"more than {counts[-1]}") from None
        raise BadBody(f"the multipart body cannot be parsed: {error.message}", code="bad-multipart") from None
    try:
        if not form:
            raise BadBody("the multipart body has no fields, an image was expected", code="empty-body")
        images = [
            Upload(await file.read(), _declared(file.content_type), f"image[{i}]")
            for i, file in enumerate(_image_files(form, counts))
        ]
        texts = {name: value for name, value in form.items() if isinstance(value, str)}
        fields = {name: parsed(text) for name, text in texts.items()}
        return Uploads(images, _model(texts.get("model")), fields)
    finally:
        await form.close()


def _check_charset(content_type: str) -> None:
    charset = parse_options_header(content_type)[1].get(b"charset", CHARSETS[0].encode()).decode("latin-1")
    if charset.lower() not in CHARSETS:
        problem = f"the charset of a form must be one of {', '.join(CHARSETS)}, got {shown(charset)}"
        raise BadBody(problem, param="Content-Type", code="bad-multipart")


def _image_files(form: FormData, counts: range) -> list[UploadFile]:
    files = [value for name, value in form.multi_items() if name == "image" and isinstance(value, UploadFile)]
    hint = _sent_instead(form) if len(files) < counts[0] else ""
    _check_count(len(files), counts, "image", hint)
    return files


def _sent_instead(form: FormData) -> str:
    """What a form has in place of files in the field `image`, and what to do; empty where it has nothing."""
    if isinstance(form.get("image"), str):
        return "; the field 'image' is a text and no file: with curl, send -F image=@FILE"
    others = [name for name in form if name != "image"]
    files = [name for name in others if isinstance(form[name], UploadFile)]
    names = files if files or "image" in form else others
    if not names:
        return ""
    listed = ", ".join(map(shown, names[:MAX_NAMED_FIELDS])) + ", ..." * (len(names) > MAX_NAMED_FIELDS)
    there = f"there is a field {listed}" if len(names) == 1 else f"there are fields {listed}"
    return f"; {there}: send pictures as 'image'"


def _declared(content_type: str | None) -> str | None:
    """What a part says it is, where that is a picture; curl says application/octet-stream when unsure."""
    name = media_type(content_type)
    return name if name in FORMATS else None


def _base64_uploads(content: object, counts: range) -> Uploads:
    body = content if isinstance(content, dict) else {}
    images = body.get("images")
    if isinstance(images, list):
        _check_count(len(images), counts, "images")
    if not isinstance(images, list) or not all(isinstance(image, str) for image in images):
        problem = "is missing" if images is None else "must be a list of texts"
        example = '{"images": ["<base64 or data URI>", ...]}'
        raise InvalidValue(f"images {problem}; the body must be {example}", param="images", code="no-images")
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


def _check_count(num: int, counts: range, param: str, hint: str = "") -> None:
    if num not in counts:
        raise _count_out_of_range(param, counts, f"{num}{hint}")


def _count_out_of_range(param: str, counts: range, found: str) -> InvalidValue:
    allowed = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else counts[0]
    problem = f"{param} must be {allowed} images, got {found}"
    return InvalidValue(problem, param=param, code=f"{param}-out-of-range")
