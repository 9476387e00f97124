"""What OpenAPI says of each route: bodies, answers and errors, with an example of each body.

The routes read their bodies themselves, so FastAPI cannot know them; these are its keyword arguments.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service.api.errors import MEDIA_TYPE, STATUSES
from service.api.negotiation import Form
from service.api.schemas import DecodeRequest, EncodeAnswer, ImagesAnswer, Problem, SampleRequest
from service.api.service import TIMEOUT_HEADER
from service.vae.images import FORMATS

Extra = dict[str, Any]

REFERENCE = "#/components/schemas/{model}"
BINARY = {"type": "string", "format": "binary"}
# A black pixel as PNG, the smallest picture there is.
TINY_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
MULTIPART = {
    "type": "object",
    "required": ["image"],
    "properties": {"image": {"type": "array", "minItems": 1, "items": BINARY}},
}
BASE64_IMAGES = {
    "type": "object",
    "required": ["images"],
    "properties": {
        "images": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "string", "description": "Base64 or a data URI"},
        }
    },
}
TIMEOUT = {
    "name": TIMEOUT_HEADER,
    "in": "header",
    "description": "Answer 504 after so many milliseconds, and 429 at once where that is not to be met",
    "schema": {"type": "number", "exclusiveMinimum": 0, "maximum": 999_999_999},
}
COMMON_ERRORS = (406, 413, 429, 500, 503, 504)


def _reference(model: type[BaseModel]) -> Extra:
    return {"$ref": REFERENCE.format(model=model.__name__)}


def _errors(*statuses: int) -> Extra:
    titles: dict[int, str] = {}
    for status, title in STATUSES.values():
        titles.setdefault(status, title)
    content = {MEDIA_TYPE: {"schema": _reference(Problem)}}
    return {str(status): {"description": titles[status], "content": content} for status in sorted(statuses)}


def _operation(body: Extra, answer: Extra, description: str, *errors: int) -> Extra:
    """The keyword arguments of a route."""
    return {
        "openapi_extra": {
            "parameters": [TIMEOUT],
            "requestBody": {"required": True, "content": body},
            "responses": {
                "200": {"description": description, "content": answer},
                **_errors(*COMMON_ERRORS, *errors),
            },
        }
    }


def _get(description: str, content: Extra, *errors: int) -> Extra:
    answer = {"200": {"description": description, "content": content}}
    return {"openapi_extra": {"responses": {**answer, **_errors(*errors)}}}


def _curl(flags: str) -> Extra:
    """An example of a body that JSON cannot hold: how curl sends it."""
    return {"curl": {"summary": f"curl {flags}"}}


_FREE_OBJECT = {Form.JSON.value: {"schema": {"type": "object"}}}
_IMAGES_OUT = {
    Form.JSON.value: {"schema": _reference(ImagesAnswer)},
    Form.PNG.value: {"schema": BINARY},
    Form.ZIP.value: {"schema": BINARY},
}
_IMAGES_IN = {
    **{name: {"schema": BINARY, "examples": _curl(f"--data-binary @picture.{name[6:]}")} for name in FORMATS},
    "multipart/form-data": {
        "schema": MULTIPART,
        "examples": _curl("-F image=@one.png -F image=@two.jpg"),
    },
    Form.JSON.value: {"schema": BASE64_IMAGES, "example": {"images": [TINY_PNG]}},
}
_SAMPLE_IN = {
    Form.JSON.value: {"schema": _reference(SampleRequest), "example": {"n": 16, "seed": 42}},
}
_DECODE_IN = {Form.JSON.value: {"schema": _reference(DecodeRequest)}}

SAMPLE = _operation(_SAMPLE_IN, _IMAGES_OUT, "The images", 400, 404, 415, 422)
DECODE = _operation(_DECODE_IN, _IMAGES_OUT, "The images", 400, 404, 415, 422)
ENCODE = _operation(
    _IMAGES_IN, {Form.JSON.value: {"schema": _reference(EncodeAnswer)}}, "mu and log_var", 400, 415, 422
)
RECONSTRUCT = _operation(_IMAGES_IN, _IMAGES_OUT, "The images decoded from mu", 400, 415, 422)
HEALTH = _get("Yes", _FREE_OBJECT, 503)
METRICS = _get("Prometheus' text format", {"text/plain": {"schema": {"type": "string"}}})
MODELS = _get("The models and the limits of a request", _FREE_OBJECT)
MODEL = _get("Metadata of the model", _FREE_OBJECT, 404)


def components(sample_request: type[SampleRequest], latent_dim: int, max_images: int) -> Mapping[str, Extra]:
    """The schemas that the routes refer to, with the limits of this server and the shapes of its model."""
    shown: list[type[BaseModel]] = [ImagesAnswer, EncodeAnswer, Problem, sample_request, DecodeRequest]
    _, schemas = models_json_schema(
        [(model, "validation") for model in shown], ref_template="#/components/schemas/{model}"
    )
    definitions: dict[str, Extra] = schemas["$defs"]
    row = {"type": "array", "items": {"type": "number"}, "minItems": latent_dim, "maxItems": latent_dim}
    z = definitions["DecodeRequest"]["properties"]["z"]
    z.update(items=row, minItems=1, maxItems=max_images)
    definitions["DecodeRequest"]["example"] = {"z": [[0.0] * latent_dim]}
    return definitions
