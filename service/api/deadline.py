"""When a request must be answered, counted from its arrival: an upload that trickles uses up its own time."""

import re
import time

from starlette.datastructures import Headers
from starlette.types import Scope

from service.errors import DeadlineExceeded, InvalidValue

TIMEOUT_HEADER = "X-Request-Timeout-Ms"
MIN_MILLISECONDS, MAX_MILLISECONDS = 0.001, 999_999_999
# A number as JSON writes it, but for the sign.
NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?")


class Deadline:
    """What X-Request-Timeout-Ms allows, capped by the server's own limit.

    Args:
        scope: Of the request that arrives now; `deadline_of` finds it there again.
        max_seconds: The server's limit.

    Attributes:
        arrived_seconds: When, by time.perf_counter.
    """

    def __init__(self, scope: Scope, max_seconds: float) -> None:
        self.arrived_seconds = time.perf_counter()
        self._headers = scope["headers"]
        self._max_seconds = max_seconds
        self._allowed_seconds: float | None = None
        scope["deadline"] = self

    def allowed_seconds(self) -> float:
        """From arrival to answer.

        Raises:
            InvalidValue: The header is not a positive number.
        """
        if self._allowed_seconds is None:
            sent = Headers(raw=self._headers).get(TIMEOUT_HEADER)
            asked_seconds = self._max_seconds if sent is None else _seconds(sent)
            self._allowed_seconds = min(asked_seconds, self._max_seconds)
        return self._allowed_seconds

    def remaining_seconds(self) -> float:
        """What is left, less than nothing once it has passed.

        Raises:
            InvalidValue: The header is not a positive number.
        """
        return self.arrived_seconds + self.allowed_seconds() - time.perf_counter()

    def check(self) -> float:
        """What is left, more than nothing.

        Raises:
            DeadlineExceeded: Nothing.
            InvalidValue: The header is not a positive number.
        """
        seconds = self.remaining_seconds()
        if seconds <= 0:
            raise DeadlineExceeded("the deadline passed before the device was asked")
        return seconds


def deadline_of(scope: Scope) -> Deadline:
    """The deadline of a request on its way."""
    deadline: Deadline = scope["deadline"]
    return deadline


def _seconds(sent: str) -> float:
    if not NUMBER.fullmatch(sent) or not MIN_MILLISECONDS <= float(sent) <= MAX_MILLISECONDS:
        limits = f"from {MIN_MILLISECONDS} to {MAX_MILLISECONDS}"
        problem = f"{TIMEOUT_HEADER} must be a number of milliseconds {limits}, got {sent[:30]!r}"
        raise InvalidValue(problem, param=TIMEOUT_HEADER, code="timeout-out-of-range")
    return float(sent) / 1000
