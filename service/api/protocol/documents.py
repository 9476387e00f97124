"""What OpenAPI says of the protocol's routes; see service/api/documents.py."""

from pydantic import BaseModel

from service.api.components import BINARY, Extra, reference
from service.api.documents import ERRORS, MODEL_IN_PATH, TIMEOUT, error_responses, response
from service.api.negotiation import Form
from service.api.protocol.inference import LENGTH_HEADER
from service.api.protocol.schemas import (
    InferenceAnswer,
    InferenceRequest,
    ModelMetadata,
    ModelReady,
    ProtocolError,
    ServerLive,
    ServerMetadata,
    ServerReady,
)

VERSION_IN_PATH = {
    "name": "version",
    "in": "path",
    "required": True,
    "description": "The first 12 digits of the checkpoint's SHA-256",
    "schema": {"type": "string"},
}
LENGTH = {
    "name": LENGTH_HEADER,
    "in": "header",
    "description": "Bytes of the JSON at the start of the body, where the bytes of a tensor follow it",
    "schema": {"type": "integer", "minimum": 0},
}
OCTETS = "application/octet-stream"


def _json(model: type[BaseModel]) -> Extra:
    return {Form.JSON.value: {"schema": reference(model)}}


def _errors(*statuses: int) -> Extra:
    return error_responses(statuses, _json(ProtocolError))


def _get(description: str, model: type[BaseModel], *errors: int, parameters: list[Extra]) -> Extra:
    responses = {"200": response(description, _json(model)), **_errors(*errors)}
    return {"openapi_extra": {"parameters": parameters, "responses": responses}}


def _probe(yes: str, no: str, model: type[BaseModel], *errors: int, **extra: object) -> Extra:
    """A path whose refusal is an answer and not an error."""
    responses = {"200": response(yes, _json(model)), "503": response(no, _json(model)), **_errors(*errors)}
    return {"openapi_extra": {"responses": responses, **extra}}


def _infer(*parameters: Extra) -> Extra:
    body = {
        **_json(InferenceRequest),
        OCTETS: {
            "schema": BINARY,
            "examples": {
                "curl": {"summary": f"curl --data-binary @json-and-bytes -H '{LENGTH_HEADER}: 123'"}
            },
        },
    }
    answer = response(
        "The tensors", {**_json(InferenceAnswer), OCTETS: {"schema": BINARY}}, "Server-Timing", LENGTH_HEADER
    )
    # What an answer may be is said in the request and not by Accept.
    errors = [status for status in ERRORS if status != 406]
    return {
        "openapi_extra": {
            "parameters": [*parameters, TIMEOUT, LENGTH],
            "requestBody": {"required": True, "content": body},
            "responses": {"200": answer, **_errors(*errors)},
        }
    }


_YES, _NO = "It takes requests", "Send them elsewhere"
_NAMED, _VERSIONED = [MODEL_IN_PATH], [MODEL_IN_PATH, VERSION_IN_PATH]

SERVER = _get("The server and its extensions", ServerMetadata, 401, parameters=[])
LIVE = _probe("It should go on", "It should be started again", ServerLive, security=[])
READY = _probe(_YES, _NO, ServerReady, security=[])
MODEL = _get("The tensors of the model", ModelMetadata, 401, 404, parameters=_NAMED)
MODEL_VERSION = _get("The tensors of the model", ModelMetadata, 401, 404, parameters=_VERSIONED)
MODEL_READY = _probe(_YES, _NO, ModelReady, 401, 404, parameters=_NAMED)
MODEL_VERSION_READY = _probe(_YES, _NO, ModelReady, 401, 404, parameters=_VERSIONED)
INFER = _infer(*_NAMED)
INFER_VERSION = _infer(*_VERSIONED)
