"""The head of an answer goes out with its body: one call, one packet, one waking of the client."""

import asyncio

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


class JoinedAnswer(asyncio.Transport):
    """What one answer is written to, which keeps its head back until the first part of its body comes.

    uvicorn writes the two one after the other, and uvloop passes on at once what is written.

    Args:
        cycle: Of uvicorn, which writes the answer; its transport is what this one writes to.
    """

    def __init__(self, cycle: RequestResponseCycle) -> None:
        super().__init__()
        self._cycle = cycle
        self._transport = cycle.transport
        self._head = b""
        # Nothing follows the head of an answer to HEAD.
        self._is_before_head = cycle.scope["method"] != "HEAD"

    def write(self, data: bytes) -> None:  # type: ignore[override]
        """Write, or keep back; what is written before the answer has started is 100 Continue."""
        if self._is_before_head and self._cycle.response_started:
            self._is_before_head = False
            self._head = data
        elif self._head:
            self._transport.writelines([self._head, data])
            self._head = b""
        else:
            self._transport.write(data)

    def is_closing(self) -> bool:
        """Whether the connection is."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Write what was kept back of an answer that came to no body, and close the connection."""
        if self._head:
            self._transport.write(self._head)
        self._transport.close()
