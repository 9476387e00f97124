"""HTTP over raw sockets, cheap enough to make load beside the server on the same two cores."""

import asyncio
import dataclasses
from collections.abc import Mapping
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httptools


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    fields: list[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The value of a header, None where there is none."""
        wanted = name.lower().encode()
        return next((value.decode("latin-1") for key, value in self.fields if key.lower() == wanted), None)


def request(
    method: str,
    path: str,
    body: bytes = b"",
    *,
    content_type: str = "",
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """The bytes of a request, so that the same ones can be sent many times."""
    fields = {"Host": "service", "Content-Length": str(len(body)), **(headers or {})}
    if content_type:
        fields["Content-Type"] = content_type
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Connection(asyncio.Protocol):
    """A connection that is kept alive and carries one request at a time."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[Answer] | None = None
        self.is_open = False

    def ask(self, content: bytes) -> asyncio.Future[Answer]:
        """Send a request; its future fails with ConnectionError where the connection ends too soon."""
        self._fields: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(content)
        return self._answer

    def close(self) -> None:
        """Leave, whether an answer is under way or not."""
        self.is_open = False
        self._transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.is_open = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("closed before the answer was complete"))

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value))

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        answer = Answer(self._parser.get_status_code(), self._fields, b"".join(self._body))
        self.is_open &= answer.header("connection") != "close"
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)


class Pool:
    """Connections to one server, as many as there are requests under way at the most.

    Attributes:
        num_opened: So far.
    """

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._address = (address.hostname, address.port)
        self._idle: list[Connection] = []
        self.num_opened = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the idle connections."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    async def ask(self, content: bytes, *, patience_seconds: float | None = None) -> Answer:
        """Send a request on an idle connection, or a new one; cancelling closes it, as a client that leaves.

        Args:
            content: The request.
            patience_seconds: After which the client leaves; None to wait for ever.

        Raises:
            ConnectionError: It was refused, or ended before the answer was complete.
            TimeoutError: The request was sent, and its client has left.
        """
        while self._idle and not self._idle[-1].is_open:
            self._idle.pop()
        connection = self._idle.pop() if self._idle else await self._open()
        try:
            async with asyncio.timeout(patience_seconds):
                answer = await connection.ask(content)
        except BaseException:
            connection.close()
            raise
        if connection.is_open:
            self._idle.append(connection)
        else:
            connection.close()
        return answer

    async def _open(self) -> Connection:
        self.num_opened += 1
        _, connection = await asyncio.get_running_loop().create_connection(Connection, *self._address)
        return connection
