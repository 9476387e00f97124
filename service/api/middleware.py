"""Around every request, as plain ASGI: its id, its headers, its count, its line in the log.

Not Starlette's BaseHTTPMiddleware, which hides that a client has gone.
"""

import logging
import re
import time

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.arrival import MAX_BODIES_UNDER_WAY, Arrival, Room
from service.api.deadline import Deadline
from service.api.draws import new_request_id
from service.api.tracing import trace_id
from service.engine.models import Models
from service.metrics import OTHER, REQUEST_OPERATIONS, Metrics

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
# What browsers may do with an answer: keep, embed, guess and run nothing. A route may say otherwise.
POLICY = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
QUIET_PATHS = ("/livez", "/readyz", "/healthz", "/metrics", "/v2/health/live", "/v2/health/ready")

log = logging.getLogger("service.access")


class RequestMiddleware:
    """Gives each request an id, bounds its body, and counts and logs its answer.

    Args:
        app: What answers, also to errors of ours, which it then raises.
        metrics: Where to count.
        models: For X-Model-Version, and to ask clients to leave while they drain.
        max_body_bytes: Of a request.
        max_seconds: That a request may take, from its arrival on.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        metrics: Metrics,
        models: Models,
        max_body_bytes: int,
        max_seconds: float,
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._models = models
        self._max_body_bytes = max_body_bytes
        self._room = Room(MAX_BODIES_UNDER_WAY * max_body_bytes)
        self._max_seconds = max_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and see to its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        deadline = Deadline(scope, self._max_seconds)
        arrival = Arrival(scope, receive, deadline=deadline, max_bytes=self._max_body_bytes, room=self._room)
        scope["request_id"] = _request_id(scope)
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                version = scope.get("model_version") or self._models.default.runtime.version
                headers = message["headers"]
                said = {name for name, _ in headers}
                headers += [header for header in POLICY if header[0] not in said]
                headers += [
                    (b"vary", b"Accept"),
                    (b"x-request-id", scope["request_id"].encode()),
                    (b"x-model-version", version.encode()),
                ]
                if self._models.is_draining:  # so that clients that keep connections open look for another
                    headers.append((b"connection", b"close"))
            await send(message)

        try:
            await self._app(scope, arrival.receive, send_with_headers)
        except ClientDisconnect:  # in its upload: nobody is left to answer, and the fault is not ours
            pass
        except Exception:
            log.exception("unexpected error", extra={"fields": {"request_id": scope["request_id"]}})
        finally:
            arrival.close()
            self._record(scope, status or 499, time.perf_counter() - deadline.arrived_seconds)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        operation = scope.get("operation") or scope["path"].strip("/")
        if operation not in REQUEST_OPERATIONS or scope["method"] == "OPTIONS":
            operation = OTHER
        self._metrics.request_finished(operation, status, seconds, scope["request_id"])
        if scope["path"] in QUIET_PATHS or not log.isEnabledFor(logging.INFO):
            return
        fields = {
            "request_id": scope["request_id"],
            "method": scope["method"],
            "path": scope["path"][:200],
            "status": status,
            "duration_seconds": round(seconds, 6),
            **scope.get("measured", {}),
        }
        if (found := trace_id(scope)) is not None:
            fields["trace_id"] = found
        log.info("request", extra={"fields": fields})


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get("x-request-id", "")
    return given if REQUEST_ID.fullmatch(given) else new_request_id()
