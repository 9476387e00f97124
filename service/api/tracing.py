"""Spans of the stages of a request, where OpenTelemetry is set up; FastAPI makes the span around them."""

import re
import time

from opentelemetry import trace
from starlette.datastructures import Headers
from starlette.types import Scope

# W3C Trace Context: version, trace id, parent id, flags.
TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")

tracer = trace.get_tracer("vae-service")


def record_stage(name: str, seconds: float, *, ended_seconds_ago: float = 0.0) -> None:
    """Record a stage of the current request that has ended, as a child of the request's span."""
    if trace.get_current_span().is_recording():
        end = time.time_ns() - int(1e9 * ended_seconds_ago)
        tracer.start_span(name, start_time=end - int(1e9 * seconds)).end(end_time=end)


def trace_id(scope: Scope) -> str | None:
    """The trace that a request is part of: of its span, or as `traceparent` says, 32 hexadecimal digits."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        return trace.format_trace_id(context.trace_id)
    found = TRACEPARENT.fullmatch(Headers(scope=scope).get("traceparent", ""))
    return found[1] if found else None
