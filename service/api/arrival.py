"""A request's body on its way in, bounded in bytes and in time."""

import asyncio

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope

from service.api.deadline import Deadline
from service.errors import BodyTooLate, TooLarge


class Arrival:
    """The server's messages of one request.

    Args:
        scope: Of the request.
        receive: The server's.
        deadline: By when the body must be there.
        max_bytes: Refused before they are read where Content-Length says more, else while they are read.
    """

    def __init__(self, scope: Scope, receive: Receive, *, deadline: Deadline, max_bytes: int) -> None:
        self._headers = scope["headers"]
        self._receive = receive
        self._deadline = deadline
        self._max_bytes = max_bytes
        self._num_bytes = 0
        self._is_complete = False

    async def receive(self) -> Message:
        """The next message.

        Raises:
            TooLarge: The body has more bytes than allowed.
            BodyTooLate: It was not complete by the deadline.
            InvalidValue: The request's own deadline is not one.
        """
        if self._is_complete:
            return await self._receive()
        if not self._num_bytes:
            self._check_announced()
        try:
            async with asyncio.timeout(self._deadline.remaining_seconds()):
                message = await self._receive()
        except TimeoutError:
            raise self._too_late() from None
        self._is_complete = not message.get("more_body", False)
        self._num_bytes += len(message.get("body", b""))
        if self._num_bytes > self._max_bytes:
            raise self._too_large()
        return message

    def _check_announced(self) -> None:
        # Zeros in front may be more than Python reads a number of.
        announced = Headers(raw=self._headers).get("content-length", "").lstrip("0")
        if announced.isdecimal() and int(announced[:20]) > self._max_bytes:
            raise self._too_large()

    def _too_large(self) -> TooLarge:
        return TooLarge(f"the body has more than {self._max_bytes} bytes", code="body-too-large")

    def _too_late(self) -> BodyTooLate:
        seconds = self._deadline.allowed_seconds()
        return BodyTooLate(f"after {seconds:g} s only {self._num_bytes} bytes of the body had arrived")
