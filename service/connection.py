"""What uvicorn leaves open on a connection: the size of a header, its time, the form of a refusal.

A subclass of uvicorn's protocol on httptools, whose parser is strict about framing (RFC 9112). What it
refuses is answered as every error is, with 400, 408, 431 or 505, and the connection is closed.
"""

import asyncio
import http
import logging
from typing import NamedTuple

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.api.draws import new_request_id
from service.api.errors import MEDIA_TYPE, problem_body
from service.api.middleware import POLICY
from service.joined import JoinedAnswer
from service.metrics import OTHER, Metrics

# Beside each byte of a chunked body so many bytes of framing are taken: chunks of a single byte have five.
MAX_FRAMING_SHARE = 8
# A connection that is closed while its client still sends is reset, and the answer may be lost with it.
LINGER_SECONDS = 1.0
HTTP_VERSIONS = ("1.0", "1.1")

log = logging.getLogger("service.access")


class Refusal(NamedTuple):
    """An answer to what is no request that can be passed on.

    Attributes:
        status: HTTP's.
        code: Stable and short; the fragment of `type`.
        title: The same for every refusal of a kind.
        detail: What is wrong.
    """

    status: int
    code: str
    title: str
    detail: str


class Refused(Exception):
    """Ends the parsing of a request."""


class Connection(HttpToolsProtocol):
    """One connection; see `connections` for its limits."""

    max_header_bytes: int
    header_timeout_seconds: float
    metrics: Metrics

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Give the client so long to send a first header."""
        super().connection_made(transport)
        self._refusal: Refusal | None = None
        self._is_refused = False
        self._is_in_header = self._is_in_body = False
        self._saw_message = False
        self._num_overhead_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        if self._is_refused:
            return
        self._unset_keepalive_if_required()
        self._num_overhead_bytes += len(data)
        self._saw_message = self._is_in_body
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._stop_after_the_answer()
        except httptools.HttpParserError as error:
            self._refuse(self._refusal or _malformed(error))
        else:
            self._check_what_is_left()

    def on_message_begin(self) -> None:
        """Begin a header; what came with it in one piece counts once it is complete."""
        super().on_message_begin()
        self._is_in_header = self._saw_message = True
        self._num_overhead_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a field of the header; the trailers of a chunked body are left out, as RFC 9110 lets one."""
        if not self._is_in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Check a header, and start on its request."""
        self._is_in_header = False
        self._num_overhead_bytes = 0
        self._check_header()
        super().on_headers_complete()
        self.cycle.transport = JoinedAnswer(self.cycle)
        self._is_in_body = True

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        super().on_body(body)
        self._saw_message = True
        allowed = (1 + MAX_FRAMING_SHARE) * len(body)
        self._num_overhead_bytes = max(0, self._num_overhead_bytes - allowed)

    def on_message_complete(self) -> None:
        """End a request's body."""
        super().on_message_complete()
        self._is_in_body = False
        self._num_overhead_bytes = 0

    def _check_header(self) -> None:
        version = self.parser.get_http_version()
        num_bytes = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        num_hosts = sum(name == b"host" for name, _ in self.headers)
        if num_bytes > self.max_header_bytes:
            self._refusal = self._too_large()
        elif version not in HTTP_VERSIONS:
            detail = f"this service speaks HTTP/1.1, not HTTP/{version}"
            self._refusal = Refusal(505, "http-version", "No such version of HTTP", detail)
        elif num_hosts > 1 or (num_hosts == 0 and version == "1.1"):
            self._refusal = _bad_request(f"a request has one Host, this one has {num_hosts}")
        else:
            return
        raise Refused

    def _check_what_is_left(self) -> None:
        """After all that came was parsed: is it still small enough, and by when must more have come?

        uvicorn bounds how long a connection idles from an answer on, until anything comes. What comes may be
        of a body whose request was answered before its end: of it no more is awaited than of a header.
        """
        is_answered = not self._is_answering
        if self._num_overhead_bytes > self.max_header_bytes:
            self._refuse(self._too_large())
        elif self._is_in_header or not self._saw_message or (is_answered and self._is_in_body):
            self._start_timer()
        else:
            self._stop_timer()
            if is_answered:
                self._idle_again()

    def _idle_again(self) -> None:
        seconds, close = self.timeout_keep_alive, self.timeout_keep_alive_handler
        self.timeout_keep_alive_task = self.loop.call_later(seconds, close)

    def _too_large(self) -> Refusal:
        detail = f"request line, header and what frames the body may have {self.max_header_bytes} bytes"
        return Refusal(431, "header-too-large", "Header too large", detail)

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.header_timeout_seconds, self._header_is_late)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _header_is_late(self) -> None:
        self._timer = None
        if self._is_answering:  # until its end nothing more is read
            self._start_timer()
        elif self._is_in_header:
            detail = f"the header was not complete after {self.header_timeout_seconds:g} s"
            self._refuse(Refusal(408, "request-timeout", "Request timeout", detail))
        else:
            self.transport.close()

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse(self, refusal: Refusal) -> None:
        """Answer, unless an answer is on its way, and read nothing more."""
        self._is_refused = True
        self._stop_timer()
        if not self._is_in_body:
            if self._is_answering:
                self._stop_after_the_answer()
            else:
                self._answer(refusal)
            return
        may_answer = self._is_answering and not self.pipeline and not self.cycle.response_started
        self.cycle.disconnected = True  # its request is not to be worked on any more
        self.cycle.message_event.set()
        if may_answer:
            self._answer(refusal)
        else:
            self.transport.close()

    def _stop_after_the_answer(self) -> None:
        """Close the connection once what was asked for properly has been answered."""
        self._is_refused = True
        self.cycle.keep_alive = False
        if not self._is_answering:
            self.transport.close()

    def _answer(self, refusal: Refusal) -> None:
        request_id = new_request_id()
        body = problem_body(
            refusal.status, refusal.title, refusal.detail, code=refusal.code, request_id=request_id
        )
        phrase = http.HTTPStatus(refusal.status).phrase
        lines = [f"HTTP/1.1 {refusal.status} {phrase}".encode()]
        fields = [
            *self.server_state.default_headers,
            *POLICY,
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"x-request-id", request_id.encode()),
            (b"connection", b"close"),
        ]
        lines += [name + b": " + value for name, value in fields]
        self.transport.write(b"\r\n".join([*lines, b"", body]))
        self._record(refusal, request_id)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._timer = self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def _record(self, refusal: Refusal, request_id: str) -> None:
        if not self._is_in_body:  # else it is counted where it is worked on
            self.metrics.request_finished(OTHER, refusal.status, 0.0, request_id)
        fields = {"request_id": request_id, "status": refusal.status, "detail": refusal.detail}
        log.info("refused", extra={"fields": fields})


def connections(
    *, max_header_bytes: int, header_timeout_seconds: float, metrics: Metrics
) -> type[Connection]:
    """The protocol for uvicorn.

    Args:
        max_header_bytes: Of request line and header; a little more may have to be read to know.
        header_timeout_seconds: From a connection's start, or a header's first byte, to its end.
        metrics: Where to count what is refused.
    """
    limits = {
        "max_header_bytes": max_header_bytes,
        "header_timeout_seconds": header_timeout_seconds,
        "metrics": metrics,
    }
    return type("LimitedConnection", (Connection,), limits)


def _malformed(error: Exception) -> Refusal:
    if isinstance(error, httptools.HttpParserCallbackError | httptools.HttpParserInvalidURLError):
        return _bad_request("the request's target is not one")
    return _bad_request(f"this is no HTTP/1.1: {str(error).strip('.')}")


def _bad_request(detail: str) -> Refusal:
    return Refusal(400, "bad-http", "Not HTTP", detail)
