"""Bounded admission: a request holds places for its items from before they are prepared until it is answered.

What would not fit is refused before any work is done on it, and nothing that was admitted is refused later:
the queue, and what waits for the codecs before and after it, cannot grow past the limit.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.errors import QueueFull
from service.metrics import Metrics


class Admission:
    """Places for items. Used from the event loop only.

    Args:
        max_items: How many there are.
        backlog_seconds: Asked how long the device will take for what waits.
        metrics: Where to count.
    """

    def __init__(self, max_items: int, backlog_seconds: Callable[[], float], metrics: Metrics) -> None:
        self.max_items = max_items
        self._backlog_seconds = backlog_seconds
        self._metrics = metrics
        self._num_held = 0

    @contextmanager
    def places(self, num_items: int, *, timeout_seconds: float) -> Iterator[None]:
        """Hold places for the items of one request.

        Raises:
            QueueFull: See refusal.
        """
        refusal = self.refusal(num_items, timeout_seconds=timeout_seconds)
        if refusal is not None:
            raise refusal
        self._hold(num_items)
        try:
            yield
        finally:
            self._hold(-num_items)

    def refusal(self, num_items: int, *, timeout_seconds: float) -> QueueFull | None:
        """Why a request of so many items would not be admitted now, None where it would.

        Where nothing is held any request is admitted, so that none is refused for ever.
        """
        if not self._num_held:
            return None
        backlog_seconds = self._backlog_seconds()
        if self._num_held + num_items > self.max_items:
            taken = f"{self._num_held} of {self.max_items} places are taken, {num_items} more were asked for"
            return QueueFull(f"the queue is full: {taken}", retry_after_seconds=backlog_seconds)
        if backlog_seconds > timeout_seconds:
            wait = f"the queue holds {backlog_seconds:.3f} s of work"
            return QueueFull(f"the deadline cannot be met: {wait}", retry_after_seconds=backlog_seconds)
        return None

    def _hold(self, change: int) -> None:
        self._num_held += change
        self._metrics.admitted(change)
