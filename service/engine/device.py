"""The threads that touch the device: each takes a batch, launches it, and hands its results back.

On CUDA one thread keeps one batch staged while another computes. On the CPU there is one thread a core.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

import torch

from service.engine.batcher import Batcher
from service.engine.jobs import Batch
from service.errors import NotReady
from service.metrics import Metrics
from service.vae.operations import Arrays
from service.vae.runtime import Runtime

log = logging.getLogger(__name__)

Launched = tuple[Batch, Callable[[], Arrays], float]


class Device:
    """Runs a batcher's batches on a runtime until the batcher is closed.

    Args:
        runtime: A warmed checkpoint.
        batcher: Where batches come from, and where results go.
        num_lanes: How many threads run batches side by side.
        metrics: Where to count.
        on_failure: Called when a thread has ended of an error; everything that waited was answered.
    """

    def __init__(
        self,
        runtime: Runtime,
        batcher: Batcher,
        *,
        num_lanes: int,
        metrics: Metrics,
        on_failure: Callable[[], None],
    ) -> None:
        self._runtime = runtime
        self._batcher = batcher
        self._metrics = metrics
        self._on_failure = on_failure
        self._lanes = [
            threading.Thread(target=self._work, name=f"device-{lane}", daemon=True)
            for lane in range(num_lanes)
        ]

    def start(self) -> None:
        """Begin to take batches."""
        for lane in self._lanes:
            lane.start()

    def join(self, timeout_seconds: float) -> None:
        """Wait until the closed batcher is worked off, but not for ever for a device that hangs."""
        for lane in self._lanes:
            lane.join(timeout_seconds)

    @property
    def is_alive(self) -> bool:
        """Whether every thread runs."""
        return all(lane.is_alive() for lane in self._lanes)

    def _work(self) -> None:
        launched: deque[Launched] = deque()
        try:
            self._runtime.prepare_thread()
            self._run_batches(launched)
        except Exception as error:
            log.critical("a device thread ended", exc_info=error)
            for batch, _, _ in launched:
                self._fail(batch, error)
            self._batcher.close(NotReady("the device failed; this process must be restarted"))
            self._on_failure()

    def _run_batches(self, launched: deque[Launched]) -> None:
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
            _raise_if_sticky(error)

    def _finish(self, batch: Batch, wait: Callable[[], Arrays], started: float) -> None:
        try:
            outputs = wait()
            seconds = time.perf_counter() - started
            size = self._runtime.bucket(batch.operation, batch.num_items)
            self._metrics.batch_finished(batch.operation, batch.num_items, size, seconds)
            self._batcher.finish(batch, outputs)
        except Exception as error:
            self._fail(batch, error)
            _raise_if_sticky(error)

    def _fail(self, batch: Batch, error: Exception) -> None:
        self._metrics.batch_failed()
        self._batcher.fail(batch, error)


def _raise_if_sticky(error: Exception) -> None:
    """End the thread on an error after which a CUDA context answers nothing any more."""
    if isinstance(error, torch.AcceleratorError):
        raise error
