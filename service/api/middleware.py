"""Around every request, as plain ASGI: its id, its headers, its count, its line in the log.

Not Starlette's BaseHTTPMiddleware, which hides that a client has gone.
"""

import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.errors import answer_http_error, answer_service_error, answer_unexpected_error
from service.engine.engine import Engine
from service.errors import ServiceError, TooLarge
from service.metrics import OTHER, REQUEST_OPERATIONS, Metrics

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
QUIET_PATHS = ("/livez", "/readyz", "/healthz", "/metrics", "/v2/health/live", "/v2/health/ready")

log = logging.getLogger("service.access")


Endpoint = Callable[[Request], Awaitable[Response]]


def direct(endpoint: Endpoint) -> ASGIApp:
    """The short way to an operation, past the framework, whose layers take longer than the route itself.

    Errors are answered as they are on the long way.
    """

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await endpoint(request)
        except ServiceError as error:
            response = await answer_service_error(request, error)
        except HTTPException as error:
            response = await answer_http_error(request, error)
        await response(scope, receive, send)

    return run


class RequestMiddleware:
    """Gives each request an id, bounds its body, and answers, counts and logs it.

    Args:
        app: What it is around.
        operations: What answers directly, by method and path.
        metrics: Where to count.
        engine: For X-Model-Version, and to ask clients to leave while it drains.
        max_body_bytes: Refused before it is read where Content-Length says more, else while it is read.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        operations: Mapping[tuple[str, str], ASGIApp],
        metrics: Metrics,
        engine: Engine,
        max_body_bytes: int,
    ) -> None:
        self._app = app
        self._operations = operations
        self._metrics = metrics
        self._engine = engine
        self._headers = [
            (b"x-model-version", engine.runtime.version.encode()),
            (b"vary", b"Accept"),
            (b"x-content-type-options", b"nosniff"),
        ]
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and see to its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        scope["request_id"] = _request_id(scope)
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] += [(b"x-request-id", scope["request_id"].encode()), *self._headers]
                if self._engine.is_draining:  # so that clients that keep connections open look for another
                    message["headers"].append((b"connection", b"close"))
            await send(message)

        app = self._operations.get((scope["method"], scope["path"]), self._app)
        try:
            await app(scope, self._bounded(scope, receive), send_with_headers)
        except ClientDisconnect:  # in its upload: nobody is left to answer, and the fault is not ours
            pass
        except Exception:
            log.exception("unexpected error", extra={"fields": {"request_id": scope["request_id"]}})
            if not status:
                answer = await answer_unexpected_error(Request(scope))
                await answer(scope, receive, send_with_headers)
        finally:
            self._record(scope, status or 499, time.perf_counter() - started)

    def _bounded(self, scope: Scope, receive: Receive) -> Receive:
        announced = Headers(scope=scope).get("content-length", "")
        is_announced_too_large = announced.isdigit() and int(announced) > self._max_body_bytes
        num_bytes = 0

        async def receive_bounded() -> Message:
            nonlocal num_bytes
            message = {} if is_announced_too_large else await receive()
            num_bytes += len(message.get("body", b""))
            if is_announced_too_large or num_bytes > self._max_body_bytes:
                raise TooLarge(f"the body has more than {self._max_body_bytes} bytes", code="body-too-large")
            return message

        return receive_bounded

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        operation = scope["path"].strip("/")
        if operation not in REQUEST_OPERATIONS:
            operation = OTHER
        self._metrics.request_finished(operation, status, seconds)
        if scope["path"] in QUIET_PATHS or not log.isEnabledFor(logging.INFO):
            return
        fields = {
            "request_id": scope["request_id"],
            "method": scope["method"],
            "path": scope["path"][:200],
            "status": status,
            "duration_seconds": round(seconds, 6),
        }
        log.info("request", extra={"fields": fields})


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get("x-request-id", "")
    return given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
