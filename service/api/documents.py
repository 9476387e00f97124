"""What OpenAPI says of each route: bodies, answers and errors, with an example of each body.

The routes read their bodies themselves, so FastAPI cannot know them; these are its keyword arguments.
"""

from collections.abc import Iterable

from fastapi.routing import APIRoute

from service.api.components import BINARY, PARAMETERS, Extra, headers, reference
from service.api.deadline import MAX_MILLISECONDS, MIN_MILLISECONDS, TIMEOUT_HEADER
from service.api.descriptions import Health, ModelDescription, ModelsAnswer
from service.api.errors import MEDIA_TYPE, STATUSES
from service.api.negotiation import IMAGE_FORMS, Form
from service.api.schemas import (
    DecodeRequest,
    EncodeAnswer,
    ImagesAnswer,
    InterpolateRequest,
    Problem,
    SampleRequest,
    ScoresAnswer,
)
from service.vae.images import FORMATS

# A black pixel as PNG, the smallest picture there is.
TINY_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
TIMEOUT = {
    "name": TIMEOUT_HEADER,
    "in": "header",
    "description": "Milliseconds from the request's arrival to its answer: 408 where its body is not there by"
    " then, else 504; 429 at once where that is not to be met",
    "schema": {"type": "number", "minimum": MIN_MILLISECONDS, "maximum": MAX_MILLISECONDS},
    "example": 10_000,
}
MODEL_IN_QUERY = {
    "name": "model",
    "in": "query",
    "description": "Which model, where several are served and the body does not name one",
    "schema": {"type": "string"},
}
MODEL_IN_PATH = {
    "name": "name",
    "in": "path",
    "required": True,
    "description": "One of those that GET /models lists",
    "schema": {"type": "string"},
}
IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "description": "ETags of answers that the caller has: 304 where it would be one of them",
    "schema": {"type": "string"},
}
ERRORS = (400, 401, 404, 406, 408, 413, 415, 422, 429, 500, 503, 504)
ERROR_HEADERS = {401: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}


def operation_id(route: APIRoute) -> str:
    """What generated clients call an operation: as its function, and where that has a path a version, so."""
    return f"{route.name}_version" if "{version}" in route.path else route.name


def response(description: str, content: Extra, *header_names: str) -> Extra:
    """One answer of a route, with the headers that every answer has and those that are named."""
    return {"description": description, "headers": headers(*header_names), "content": content}


def error_responses(statuses: Iterable[int], content: Extra) -> Extra:
    """The errors of a route by status."""
    titles: dict[int, str] = {}
    for status, title in STATUSES.values():
        titles.setdefault(status, title)
    return {
        str(status): response(titles[status], content, *filter(None, [ERROR_HEADERS.get(status)]))
        for status in sorted(statuses)
    }


def _parameter(name: str) -> Extra:
    """A parameter of components by its name."""
    return {"$ref": f"#/components/parameters/{name}"}


def _errors(*statuses: int) -> Extra:
    return error_responses(statuses, {MEDIA_TYPE: {"schema": reference(Problem)}})


def _operation(body: Extra, answer: Extra, *parameters: Extra) -> Extra:
    """The keyword arguments of a route; `parameters` are those beside the common ones."""
    return {
        "openapi_extra": {
            "parameters": [TIMEOUT, MODEL_IN_QUERY, *parameters],
            "requestBody": {"required": True, "content": body},
            "responses": {"200": answer, **_errors(*ERRORS)},
        }
    }


def _get(description: str, content: Extra, *errors: int, **extra: object) -> Extra:
    responses = {"200": response(description, content), **_errors(*errors)}
    return {"openapi_extra": {"responses": responses, **extra}}


def _probe(yes: str, no: str) -> Extra:
    """A path that never needs a key, and whose refusal is an answer and not an error."""
    health = {Form.JSON.value: {"schema": reference(Health)}}
    responses = {"200": response(yes, health), "503": response(no, health)}
    return {"openapi_extra": {"security": [], "responses": responses}}


def _curl(flags: str) -> Extra:
    """An example of a body that JSON cannot hold: how curl sends it."""
    return {"curl": {"summary": f"curl {flags}"}}


def _images_in(kind: str) -> Extra:
    """Images in every form of body; `kind` is the end of the names of their schemas."""
    raw = {
        name: {"schema": BINARY, "examples": _curl(f"--data-binary @picture.{name[6:]}")} for name in FORMATS
    }
    return {
        **raw,
        **_multipart_and_npy(kind),
        Form.JSON.value: {"schema": reference(f"Base64{kind}"), "example": {"images": [TINY_PNG]}},
    }


def _multipart_and_npy(kind: str) -> Extra:
    return {
        "multipart/form-data": {
            "schema": reference(f"Multipart{kind}"),
            "examples": _curl("-F image=@one.png -F image=@two.jpg"),
        },
        Form.NPY.value: {"schema": BINARY, "examples": _curl("--data-binary @images.npy")},
    }


def _images_out(description: str, *header_names: str) -> Extra:
    content = {
        Form.JSON.value: {"schema": reference(ImagesAnswer)},
        **{form.value: {"schema": BINARY} for form in IMAGE_FORMS if form is not Form.JSON},
    }
    return response(description, content, "Server-Timing", "X-Layout", *header_names)


_NUMBERS_OUT = response(
    "mu and log_var",
    {Form.JSON.value: {"schema": reference(EncodeAnswer)}, Form.NPY.value: {"schema": BINARY}},
    "Server-Timing",
)
_SCORES_OUT = response(
    "Scores: the larger `anomaly`, the stranger the image",
    {Form.JSON.value: {"schema": reference(ScoresAnswer)}},
    "Server-Timing",
)
_SAMPLE_IN = {Form.JSON.value: {"schema": reference(SampleRequest), "example": {"n": 16, "seed": 42}}}
_INTERPOLATE_IN = {
    Form.JSON.value: {
        "schema": {"anyOf": [reference(InterpolateRequest), reference("Base64Ends")]},
        "examples": {
            "seeds": {"value": {"from": 1, "to": 2, "steps": 8, "mode": "slerp"}},
            "images": {"value": {"images": [TINY_PNG, TINY_PNG], "steps": 4}},
        },
    },
    **_multipart_and_npy("Ends"),
}
_DECODE_IN = {
    Form.JSON.value: {"schema": reference(DecodeRequest)},
    Form.NPY.value: {"schema": BINARY, "examples": _curl("--data-binary @latents.npy")},
}

SAMPLE = _operation(_SAMPLE_IN, _images_out("The images", "X-Seed"))
GET_SAMPLE: Extra = {
    "openapi_extra": {
        "parameters": [TIMEOUT, MODEL_IN_QUERY, IF_NONE_MATCH, *map(_parameter, PARAMETERS["SampleRequest"])],
        "responses": {
            "200": _images_out("The images; where the query has a seed, with an ETag", "X-Seed", "ETag"),
            "304": {"description": "The caller has it", "headers": headers("ETag")},
            **_errors(*(status for status in ERRORS if status not in (400, 415))),
        },
    }
}
HEAD_SAMPLE: Extra = {"include_in_schema": False}  # what GET says, as HTTP has it
DECODE = _operation(_DECODE_IN, _images_out("The images"), _parameter("output_format"))
ENCODE = _operation(_images_in("Images"), _NUMBERS_OUT)
RECONSTRUCT = _operation(
    _images_in("Reconstruct"),
    _images_out("The images decoded from mu"),
    _parameter("output_format"),
    _parameter("return_input"),
)
INTERPOLATE = _operation(
    _INTERPOLATE_IN,
    _images_out("The images on the way, both ends among them"),
    *map(_parameter, (*PARAMETERS["InterpolateRequest"], "output_format")),
)
SCORE = _operation(_images_in("Images"), _SCORES_OUT)
LIVE = _probe("It should go on", "It should be started again")
READY = _probe("It takes requests", "Send them elsewhere")
_TEXT = {"schema": {"type": "string"}}
METRICS = _get(
    "Prometheus' text format, or OpenMetrics where that is asked for",
    {"text/plain": _TEXT, "application/openmetrics-text": _TEXT},
    security=[],
)
MODELS = _get(
    "The models and the limits of a request", {Form.JSON.value: {"schema": reference(ModelsAnswer)}}, 401
)
MODEL = _get(
    "Metadata of the model, and how it is served",
    {Form.JSON.value: {"schema": reference(ModelDescription)}},
    401,
    404,
    parameters=[MODEL_IN_PATH],
)
