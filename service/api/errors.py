"""The one table from errors to HTTP statuses, and the one shape of an error answer (RFC 9457)."""

import logging
import math
from collections.abc import Mapping

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.api.service import service_of
from service.errors import (
    BadBody,
    BadImage,
    BadOutput,
    BodyTooLate,
    ClientError,
    DeadlineExceeded,
    InferenceFailed,
    InvalidValue,
    ModelNotFound,
    NotAcceptable,
    NotReady,
    QueueFull,
    ServiceError,
    TooLarge,
    Unauthorized,
    UnsupportedMediaType,
)

MEDIA_TYPE = "application/problem+json"
# Under which the Open Inference Protocol is spoken, which has a shape of errors of its own.
PROTOCOL_PREFIX = "/v2"
NOT_READY_RETRY_SECONDS = 5

# Error: status and title. The most specific class of an error counts.
STATUSES: Mapping[type[ServiceError], tuple[int, str]] = {
    BadBody: (400, "The body cannot be parsed"),
    BadImage: (400, "The body is not the image it claims to be"),
    Unauthorized: (401, "No API key that is known"),
    ModelNotFound: (404, "No such model"),
    NotAcceptable: (406, "No such form of answer"),
    BodyTooLate: (408, "Request timeout"),
    TooLarge: (413, "Too large"),
    UnsupportedMediaType: (415, "No such form of body"),
    InvalidValue: (422, "Invalid value"),
    QueueFull: (429, "Too many requests"),
    InferenceFailed: (500, "Inference failed"),
    BadOutput: (500, "Inference failed"),
    NotReady: (503, "Not ready"),
    DeadlineExceeded: (504, "Deadline exceeded"),
}
# Under which reason refused work is counted.
REJECTIONS = {QueueFull: "queue_full", DeadlineExceeded: "deadline", NotReady: "not_ready"}
HTTP_TITLES = {404: "No such path", 405: "No such method", 413: "Too large"}

log = logging.getLogger(__name__)


def request_id(request: Request) -> str:
    """The id of a request, as the middleware made or took it."""
    return str(request.scope["request_id"])


def problem(
    request: Request,
    status: int,
    title: str,
    detail: str,
    *,
    code: str,
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Build an error answer.

    Args:
        request: What it answers.
        status: HTTP status.
        title: The same for every error of a kind.
        detail: What is wrong this time, with the limit.
        code: Stable and short; the fragment of `type`.
        param: The field that is wrong, if it is one.
        headers: Beside the usual ones.
    """
    if f"{request.scope['path']}/".startswith(f"{PROTOCOL_PREFIX}/"):
        return Response(
            orjson.dumps({"error": detail}), status, headers=headers, media_type="application/json"
        )
    body = problem_body(status, title, detail, code=code, param=param, request_id=request_id(request))
    return Response(body, status, headers=headers, media_type=MEDIA_TYPE)


def problem_body(
    status: int, title: str, detail: str, *, code: str, request_id: str, param: str | None = None
) -> bytes:
    """The body of an error answer; see problem."""
    body = {
        "type": f"about:blank#{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "param": param,
        "request_id": request_id,
    }
    return orjson.dumps(body)


async def answer_service_error(request: Request, error: Exception) -> Response:
    """Answer any error of the service's own tree."""
    assert isinstance(error, ServiceError)
    status, title = next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)
    if type(error) in REJECTIONS:
        service_of(request).metrics.rejected(REJECTIONS[type(error)])
    if isinstance(error, BadOutput):
        service_of(request).metrics.device_failed("bad_output")
    if isinstance(error, ClientError):
        return problem(
            request,
            status,
            title,
            error.message,
            code=error.code,
            param=error.param,
            headers=_headers(error),
        )
    if isinstance(error, InferenceFailed):
        log.error("inference failed", exc_info=error, extra={"fields": {"request_id": request_id(request)}})
        detail = "the device failed on this request; the log has the details under its request_id"
        return problem(request, status, title, detail, code="inference-failed")
    headers = _retry_after(NOT_READY_RETRY_SECONDS) if status == 503 else None
    code = title.lower().replace(" ", "-")
    return problem(request, status, title, str(error), code=code, headers=headers)


async def answer_http_error(request: Request, error: Exception) -> Response:
    """Answer what the framework refuses: unknown paths and methods, bodies over the limit."""
    assert isinstance(error, HTTPException)
    title = HTTP_TITLES.get(error.status_code, "Bad request")
    detail = {
        404: f"there is nothing at {request.url.path}; GET / lists what there is",
        405: f"{request.url.path} does not take {request.method}{_taken(error.headers or {})}",
        413: "the body is larger than this service takes; GET /models shows max_body_bytes",
    }.get(error.status_code, str(error.detail))
    code = title.lower().replace(" ", "-")
    return problem(request, error.status_code, title, detail, code=code, headers=error.headers)


async def answer_unexpected_error(request: Request, _error: Exception | None = None) -> Response:
    """Answer a fault of ours without showing anything of it."""
    detail = "an internal error; the log has the details under this request_id"
    return problem(request, 500, "Internal error", detail, code="internal-error")


class _Unsent(Response):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Leave it: nobody is there to take it."""


async def answer_nobody(_request: Request, _error: Exception) -> Response:
    """Send nothing to a client that has gone, which is no fault of ours."""
    return _Unsent()


def _taken(headers: Mapping[str, str]) -> str:
    """What to send instead, as the header Allow of a 405 says; HEAD goes without saying."""
    methods = sorted(set(headers.get("Allow", "").split(", ")) - {"", "HEAD"})
    return f"; send {' or '.join(methods)}" if methods else ""


def _headers(error: ClientError) -> Mapping[str, str] | None:
    if isinstance(error, QueueFull):
        return _retry_after(error.retry_after_seconds)
    if isinstance(error, Unauthorized):
        return {"WWW-Authenticate": "Bearer"}
    # The rest of the body may still come: nothing else can be read from this connection.
    return {"Connection": "close"} if isinstance(error, BodyTooLate) else None


def _retry_after(seconds: float) -> dict[str, str]:
    return {"Retry-After": str(max(1, math.ceil(seconds)))}
