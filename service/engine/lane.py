"""One thread that touches the device: takes a batch, launches it, and hands its results back."""

import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence

import torch

from service.engine.batcher import Batcher
from service.engine.jobs import Batch
from service.engine.steps import Task
from service.metrics import Metrics
from service.vae.faults import Fault, fault_of
from service.vae.operations import Arrays
from service.vae.runtime import Runtime

Launched = tuple[Batch, Callable[[], Arrays]]
# What ended a thread, and the batches that may be to blame.
OnEnd = Callable[[BaseException, Sequence[Batch]], None]


class Lane:
    """Runs a batcher's batches on a runtime, one after another, until the batcher is closed.

    Args:
        name: Of the thread.
        runtime: A warmed checkpoint.
        batcher: Where batches come from, and where results go.
        metrics: Where to count.
        on_end: Called when the thread ends of an error, whatever its kind.
        clock: Seconds; replaced by tests.
    """

    def __init__(
        self,
        name: str,
        runtime: Runtime,
        batcher: Batcher,
        *,
        metrics: Metrics,
        on_end: OnEnd,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._runtime = runtime
        self._batcher = batcher
        self._metrics = metrics
        self._on_end = on_end
        self._clock = clock
        self._launched: deque[Launched] = deque()
        self._failed: list[tuple[Batch, BaseException]] = []
        # Since when the device owes this thread a batch: its launch, or the end of the one before it.
        self._since: float | None = None
        self.thread = threading.Thread(target=self._work, name=name, daemon=True)

    @property
    def busy_seconds(self) -> float:
        """For how long the device has had a batch of this thread and given none back; 0 without a batch."""
        since = self._since
        return 0.0 if since is None else self._clock() - since

    def _work(self) -> None:
        try:
            self._runtime.prepare_thread()
            self._run_batches()
        except BaseException as error:  # SystemExit too, of which threading says nothing
            self._since = None
            blamed = [entry[0] for entry in self._launched] + [entry[0] for entry in self._failed]
            self._on_end(error, blamed)

    def _run_batches(self) -> None:
        while True:
            # What failed is run again once nothing is in flight.
            batch = None if self._failed else self._batcher.take(wait=not self._launched)
            if isinstance(batch, Task):
                batch.run()
                del batch  # while it sleeps, it holds on to no picture
                continue
            if batch is not None:
                self._launch(batch)
            elif not self._launched and not self._failed:
                return
            if self._launched and (batch is None or len(self._launched) > self._runtime.num_staged):
                self._finish()
            while self._failed and not self._launched:
                batch, error = self._failed[0]
                self._run_again(batch, error)
                self._failed.pop(0)
                self._batcher.release(batch)
            if not self._launched:
                self._since = None

    def _launch(self, batch: Batch) -> None:
        if self._since is None:
            self._since = self._clock()
        try:
            self._launched.append((batch, self._runtime.launch(batch.operation, batch.parts)))
        except BaseException as error:
            self._failed.append((batch, error))
            _raise_if_fatal(error)

    def _finish(self) -> None:
        batch, wait = self._launched.popleft()
        try:
            self._hand_out(batch, wait())
        except BaseException as error:
            self._failed.append((batch, error))
            _raise_if_fatal(error)

    def _hand_out(self, batch: Batch, outputs: Arrays) -> None:
        seconds, self._since = self.busy_seconds, self._clock()
        size = self._runtime.bucket(batch.operation, batch.num_items)
        self._metrics.batch_finished(batch.operation, batch.num_items, size, seconds)
        self._batcher.pace.learn(batch.operation, batch.num_items, seconds)
        self._batcher.finish(batch, outputs)

    def _run_again(self, batch: Batch, error: BaseException) -> None:
        """Run a failed batch in halves, and these in halves, until only what is to blame fails."""
        fault = fault_of(error)
        self._metrics.device_failed(fault)
        if fault is Fault.OOM:
            traceback.clear_frames(error.__traceback__)  # whose variables hold memory of the device
            torch.cuda.empty_cache()
            self._batcher.shrink(batch.operation, batch.num_items // 2)
        if batch.num_items == 1:
            self._batcher.fail(batch, error)
            return
        for half in batch.halves():
            again = self._run(half)
            if again is not None:
                self._run_again(half, again)

    def _run(self, half: Batch) -> BaseException | None:
        """Run a half to its end; what went wrong, unless it ends the thread."""
        self._since = self._clock()
        try:
            self._hand_out(half, self._runtime.launch(half.operation, half.parts)())
        except BaseException as error:
            _raise_if_fatal(error)
            return error
        return None


def _raise_if_fatal(error: BaseException) -> None:
    """Let an error end the thread after which no other batch can succeed."""
    if fault_of(error) is Fault.LOST:
        raise error
