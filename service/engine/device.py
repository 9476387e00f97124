"""The threads that touch the device: each takes a batch, launches it, and hands its results back.

On CUDA one thread keeps one batch staged while another computes. On the CPU there is one thread a core.
"""

import threading
import time
from collections import deque
from collections.abc import Callable

from service.engine.batcher import Batcher
from service.engine.jobs import Batch
from service.errors import InferenceFailed
from service.metrics import Metrics
from service.vae.operations import Arrays
from service.vae.runtime import Runtime

Launched = tuple[Batch, Callable[[], Arrays], float]


class Device:
    """Runs a batcher's batches on a runtime until the batcher is closed.

    Args:
        runtime: A warmed checkpoint.
        batcher: Where batches come from, and where results go.
        num_lanes: How many threads run batches side by side.
        metrics: Where to count.
    """

    def __init__(self, runtime: Runtime, batcher: Batcher, *, num_lanes: int, metrics: Metrics) -> None:
        self._runtime = runtime
        self._batcher = batcher
        self._metrics = metrics
        self._lanes = [
            threading.Thread(target=self._work, name=f"device-{lane}", daemon=True)
            for lane in range(num_lanes)
        ]

    def start(self) -> None:
        """Begin to take batches."""
        for lane in self._lanes:
            lane.start()

    def join(self) -> None:
        """Wait until the closed batcher is worked off."""
        for lane in self._lanes:
            lane.join()

    @property
    def is_alive(self) -> bool:
        """Whether every thread runs."""
        return all(lane.is_alive() for lane in self._lanes)

    def _work(self) -> None:
        self._runtime.prepare_thread()
        launched: deque[Launched] = deque()
        while True:
            batch = self._batcher.take(wait=not launched)
            if batch is not None:
                self._launch(batch, launched)
            elif not launched:
                return
            if launched and (batch is None or len(launched) > self._runtime.num_staged):
                self._finish(*launched.popleft())

    def _launch(self, batch: Batch, launched: deque[Launched]) -> None:
        started = time.perf_counter()
        try:
            launched.append((batch, self._runtime.launch(batch.operation, batch.parts), started))
        except Exception as error:
            self._fail(batch, error)

    def _finish(self, batch: Batch, wait: Callable[[], Arrays], started: float) -> None:
        try:
            outputs = wait()
        except Exception as error:
            self._fail(batch, error)
            return
        size = self._runtime.bucket(batch.operation, batch.num_items)
        self._metrics.batch_finished(batch.operation, batch.num_items, size, time.perf_counter() - started)
        self._batcher.finish(batch, outputs)

    def _fail(self, batch: Batch, error: Exception) -> None:
        self._metrics.batch_failed()
        failure = InferenceFailed(f"{batch.operation} failed on {batch.num_items} items")
        failure.__cause__ = error
        self._batcher.fail(batch, failure)
