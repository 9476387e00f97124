"""Spans of the stages of a request, where OpenTelemetry is set up; FastAPI makes the span around them."""

import re
import time

from opentelemetry import trace
from starlette.datastructures import Headers
from starlette.types import Scope

# W3C Trace Context: version, trace id, parent id, flags.
TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")

tracer = trace.get_tracer("vae-service")


def record_stages(*stages: tuple[str, float]) -> None:
    """Record the stages of the current request as children of its span.

    Args:
        stages: A name and seconds for each, one after another; the last has just ended.
    """
    if not trace.get_current_span().is_recording():
        return
    end = time.time_ns()
    for name, seconds in reversed(stages):
        start = end - int(1e9 * seconds)
        tracer.start_span(name, start_time=start).end(end_time=end)
        end = start


def trace_id(scope: Scope) -> str | None:
    """The trace that a request is part of: of its span, or as `traceparent` says, 32 hexadecimal digits."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        return trace.format_trace_id(context.trace_id)
    found = TRACEPARENT.fullmatch(Headers(scope=scope).get("traceparent", ""))
    return found[1] if found else None
