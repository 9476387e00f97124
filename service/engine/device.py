"""The threads that touch the device, and what is to be done when it does not answer any more.

On CUDA one thread keeps one batch staged while another computes. On the CPU there is one thread a core.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from service.engine.batcher import Batcher
from service.engine.jobs import Batch
from service.engine.lane import Lane
from service.engine.watchdog import Watchdog
from service.metrics import Metrics
from service.vae.runtime import Runtime

LOST = "the device was lost; this process must be restarted"
HANGS = "the device hangs; this process must be restarted"

log = logging.getLogger(__name__)


class Device:
    """Runs a batcher's batches on a runtime until the batcher is closed.

    Promise: when a thread ends of an error, or a batch does not come back, everybody who waits is answered
    at once, nobody is admitted any more, and nobody is given a result.

    Args:
        runtime: A warmed checkpoint.
        batcher: Where batches come from, and where results go.
        num_lanes: How many threads run batches side by side.
        watchdog_seconds: How long a batch may take; after twice as long the device counts as lost.
        metrics: Where to count.
        on_failure: Called once, from any thread, when the device was lost for good.

    Attributes:
        failure: Why the device was lost for good, empty while it works.
    """

    def __init__(
        self,
        runtime: Runtime,
        batcher: Batcher,
        *,
        num_lanes: int,
        watchdog_seconds: float,
        metrics: Metrics,
        on_failure: Callable[[], None],
    ) -> None:
        self._batcher = batcher
        self._metrics = metrics
        self._on_failure = on_failure
        self._failing = threading.Lock()
        self.failure = ""
        self._lanes = [
            Lane(f"device-{number}", runtime, batcher, metrics=metrics, on_end=self._lose)
            for number in range(num_lanes)
        ]
        self._watchdog = Watchdog(
            lambda: max(lane.busy_seconds for lane in self._lanes),
            limit_seconds=watchdog_seconds,
            on_hang=self._give_up,
        )

    def start(self) -> None:
        """Begin to take batches."""
        for lane in self._lanes:
            lane.thread.start()
        self._watchdog.start()

    def join(self, timeout_seconds: float) -> None:
        """Wait until the closed batcher is worked off, but no longer than that, nor for a lost device."""
        ends = time.monotonic() + timeout_seconds
        for lane in self._lanes:
            lane.thread.join(0 if self.failure else max(0.0, ends - time.monotonic()))
        if not self.is_running:
            self._watchdog.stop()

    @property
    def is_running(self) -> bool:
        """Whether any thread runs."""
        return any(lane.thread.is_alive() for lane in self._lanes)

    @property
    def is_alive(self) -> bool:
        """Whether every thread runs, and batches come back."""
        return not self.failure and all(lane.thread.is_alive() for lane in self._lanes)

    @property
    def trouble(self) -> str:
        """Why requests should not be sent here, empty where they should."""
        return self.failure or self._watchdog.trouble

    def _lose(self, error: BaseException, blamed: Sequence[Batch]) -> None:
        if self._fail("lost", LOST, blamed, error):
            log.critical("%s: a device thread ended", LOST, exc_info=error)

    def _give_up(self, seconds: float) -> None:
        if self._fail("hang", HANGS):
            log.critical("%s: a batch was launched %.1f s ago", HANGS, seconds)

    def _fail(
        self, kind: str, failure: str, blamed: Sequence[Batch] = (), cause: BaseException | None = None
    ) -> bool:
        """Answer everybody; whether it is the first failure, which alone is told."""
        with self._failing:
            is_first = not self.failure
            self.failure = self.failure or failure  # before anybody is answered, for who then asks /livez
        self._batcher.abort(failure, blamed=blamed, cause=cause)
        if is_first:
            self._metrics.device_failed(kind)
            self._on_failure()
        return is_first
