"""Notices that the device does not give a batch back: a hanging driver raises nothing."""

import logging
import threading
from collections.abc import Callable

# What a wait may end too early.
SLACK_SECONDS = 0.001

log = logging.getLogger(__name__)


class Watchdog:
    """Looks at how long the device has had a batch, no more often than it must.

    Up to the limit all is well. Above it there is trouble, which ends when the batch comes back. At twice
    the limit the device is given up.

    Args:
        busy_seconds: For how long the device has had a batch and given none back; 0 without a batch.
        limit_seconds: How long a batch may take.
        on_hang: Called once, from a thread of its own, with the seconds when the device is given up.
    """

    def __init__(
        self, busy_seconds: Callable[[], float], *, limit_seconds: float, on_hang: Callable[[float], None]
    ) -> None:
        self._busy_seconds = busy_seconds
        self._limit_seconds = limit_seconds
        self._on_hang = on_hang
        self._is_late = False
        self._stopped = threading.Event()

    @property
    def trouble(self) -> str:
        """What is wrong now, empty while all is well."""
        seconds = self._busy_seconds()
        if seconds <= self._limit_seconds:
            return ""
        return f"the device has not given a batch back for {seconds:.1f} s"

    def start(self) -> None:
        """Begin to look."""
        threading.Thread(target=self._run, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()

    def look(self) -> float | None:
        """Look once.

        Returns:
            Seconds until the next limit could be passed by what is, or will be, on the device; None when the
            device was given up.
        """
        seconds = self._busy_seconds()
        if seconds > 2 * self._limit_seconds:
            self._on_hang(seconds)
            return None
        is_late = seconds > self._limit_seconds
        if is_late and not self._is_late:
            log.error("the device has not given a batch back for %.1f s", seconds)
        elif self._is_late and not is_late:
            log.warning("the device gives batches back again")
        self._is_late = is_late
        next_limit = 2 * self._limit_seconds if is_late else self._limit_seconds
        return next_limit - seconds + SLACK_SECONDS

    def _run(self) -> None:
        pause: float | None = self._limit_seconds
        while pause is not None and not self._stopped.wait(pause):
            pause = self.look()
