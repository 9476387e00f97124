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
        self._transport = cycle.transport
        self._head = b""
        # Whose head is still to come; nothing follows that of an answer to HEAD. Let go of as soon as it has
        # come: the two hold each other.
        self._cycle = cycle if cycle.scope["method"] != "HEAD" else None

    def write(self, data: bytes) -> None:  # type: ignore[override]
        """Write, or keep back; what is written before the answer has started is 100 Continue."""
        if self._cycle is not None and self._cycle.response_started:
            self._cycle = None
            self._head = data
        elif self._head:
            head, self._head = self._head, b""
            self._transport.writelines([head, data])
        else:
            self._transport.write(data)

    def is_closing(self) -> bool:
        """Whether the connection is."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Write what was kept back of an answer that came to no body, and close the connection."""
        head, self._head = self._head, b""
        if head and not self._transport.is_closing():
            self._transport.write(head)
        self._transport.close()
