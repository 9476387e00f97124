"""A request's body on its way in, bounded in bytes and in time."""

import asyncio

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope

from service.api.deadline import Deadline
from service.errors import BodyTooLate, QueueFull, TooLarge

# Of the largest size, that may be on their way at a time; what comes in one piece is not, and always taken.
MAX_BODIES_UNDER_WAY = 32
RETRY_SECONDS = 1.0


class Room:
    """What has come of bodies that are not complete, of all requests. Used from the event loop only.

    Args:
        max_bytes: Of all together.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._num_held = 0

    def hold(self, num_bytes: int) -> None:
        """Hold so many more.

        Raises:
            QueueFull: That is too many.
        """
        if self._num_held + num_bytes > self._max_bytes:
            problem = f"bodies under way have {self._num_held} bytes of at most {self._max_bytes}"
            raise QueueFull(f"the queue is full: {problem}", retry_after_seconds=RETRY_SECONDS)
        self._num_held += num_bytes

    def give_back(self, num_bytes: int) -> None:
        """Hold so many no more."""
        self._num_held -= num_bytes


class Arrival:
    """The server's messages of one request.

    Args:
        scope: Of the request.
        receive: The server's.
        deadline: By when the body must be there.
        max_bytes: Refused before they are read where Content-Length says more, else while they are read.
        room: For all bodies.
    """

    def __init__(
        self, scope: Scope, receive: Receive, *, deadline: Deadline, max_bytes: int, room: Room
    ) -> None:
        self._headers = scope["headers"]
        self._receive = receive
        self._deadline = deadline
        self._max_bytes = max_bytes
        self._room = room
        self._num_bytes = self._num_held = 0
        self._is_complete = False

    async def receive(self) -> Message:
        """The next message.

        Raises:
            TooLarge: The body has more bytes than allowed.
            BodyTooLate: It was not complete by the deadline.
            QueueFull: Too many bodies are under way.
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
        num_bytes = len(message.get("body", b""))
        self._num_bytes += num_bytes
        if self._num_bytes > self._max_bytes:
            raise self._too_large()
        if self._is_complete:
            self.close()
        else:
            self._room.hold(num_bytes)
            self._num_held += num_bytes
        return message

    def close(self) -> None:
        """Say that the body is under way no more."""
        self._room.give_back(self._num_held)
        self._num_held = 0

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
