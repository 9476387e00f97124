"""The threads that touch the device: each takes a batch, launches it, and hands its results back.

On CUDA one thread keeps one batch staged while another computes. On the CPU there is one thread a core.
"""

import dataclasses
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
        failed: list[tuple[Batch, Exception]] = []
        try:
            self._runtime.prepare_thread()
            self._run_batches(launched, failed)
        except Exception as error:
            log.critical("a device thread ended", exc_info=error)
            for batch in [entry[0] for entry in launched] + [entry[0] for entry in failed]:
                self._batcher.fail(batch, error)
            self._batcher.close(NotReady("the device failed; this process must be restarted"))
            self._on_failure()

    def _run_batches(self, launched: deque[Launched], failed: list[tuple[Batch, Exception]]) -> None:
        while True:
            # What failed is run again once nothing is in flight.
            batch = None if failed else self._batcher.take(wait=not launched)
            if batch is not None:
                self._launch(batch, launched, failed)
            elif not launched and not failed:
                return
            if launched and (batch is None or len(launched) > self._runtime.num_staged):
                self._finish(launched.popleft(), failed)
            while failed and not launched:
                self._run_again(*failed[0])
                failed.pop(0)
                self._batcher.release()

    def _launch(self, batch: Batch, launched: deque[Launched], failed: list[tuple[Batch, Exception]]) -> None:
        started = time.perf_counter()
        try:
            launched.append((batch, self._runtime.launch(batch.operation, batch.parts), started))
        except Exception as error:
            failed.append((batch, error))

    def _finish(self, launched: Launched, failed: list[tuple[Batch, Exception]]) -> None:
        batch, wait, started = launched
        try:
            outputs = wait()
            seconds = time.perf_counter() - started
            size = self._runtime.bucket(batch.operation, batch.num_items)
            self._metrics.batch_finished(batch.operation, batch.num_items, size, seconds)
            self._batcher.finish(batch, outputs)
        except Exception as error:
            failed.append((batch, error))

    def _run_again(self, batch: Batch, error: Exception) -> None:
        """Run a failed batch in halves, and these in halves, until only what is to blame fails.

        Raises:
            torch.AcceleratorError: After it a CUDA context answers nothing any more.
        """
        self._metrics.batch_failed()
        if isinstance(error, torch.AcceleratorError):
            raise error
        if isinstance(error, torch.OutOfMemoryError):
            torch.cuda.empty_cache()
            self._batcher.shrink(batch.operation, batch.num_items // 2)
        if batch.num_items == 1:
            self._batcher.fail(dataclasses.replace(batch, is_part=True), error)
            return
        for half in batch.halves():
            failed: list[tuple[Batch, Exception]] = []
            launched: deque[Launched] = deque()
            self._launch(half, launched, failed)
            if launched:
                self._finish(launched.popleft(), failed)
            for part, reason in failed:
                self._run_again(part, reason)
