"""One method an operation: from validated arrays to the future of their results, through queue and device."""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

from service.engine.admission import Admission
from service.engine.batcher import Batcher
from service.engine.device import Device
from service.engine.jobs import Job, Result
from service.engine.pace import Pace
from service.errors import DeadlineExceeded
from service.metrics import Metrics
from service.scripted import Float32Array, UInt8Array
from service.vae.operations import Array, Operation
from service.vae.runtime import Runtime

QUEUED_BATCHES = 8
# An engine is stopped when its requests are answered: what is left on the device then is for nobody.
STOP_SECONDS = 2
STOPPING = "the service is shutting down"

Future = asyncio.Future[Result]


class Engine:
    """A model that answers: its runtime, its queue and its device threads.

    Args:
        runtime: A warmed checkpoint.
        metrics: Where to count.
        max_items: The most items that one request may carry, so that an empty queue takes it.
        max_queued_items: Places for items, None for 8 times the largest batch or request.
        num_lanes: Threads that run batches on the CPU, None for one a core.
        watchdog_seconds: How long a batch may take; after twice as long the device counts as lost.

    Attributes:
        admission: Where a request holds places for its items.
        labels: What the metrics call it.
    """

    def __init__(
        self,
        runtime: Runtime,
        metrics: Metrics,
        *,
        max_items: int,
        max_queued_items: int | None = None,
        num_lanes: int | None = None,
        watchdog_seconds: float = 30,
    ) -> None:
        self.runtime = runtime
        limits = {operation: runtime.largest_bucket(operation) for operation in runtime.seconds}
        lanes = runtime.num_lanes or num_lanes or available_cores()
        efficient = {operation: runtime.efficient_batch(operation) for operation in runtime.seconds}
        seconds = {operation: runtime.seconds[operation][size] for operation, size in efficient.items()}
        pace = Pace(lanes, efficient, seconds)
        self.batcher = Batcher(limits, num_lanes=lanes, pace=pace, metrics=metrics, min_shares=efficient)
        self.admission = Admission(
            max_queued_items or QUEUED_BATCHES * max(max_items, *limits.values()),
            self.batcher.backlog_seconds,
            metrics,
        )
        self._failure_callbacks: list[Callable[[], None]] = []
        self._device = Device(
            runtime,
            self.batcher,
            num_lanes=lanes,
            watchdog_seconds=watchdog_seconds,
            metrics=metrics,
            on_failure=self._tell_of_failure,
        )
        self.labels = {
            "name": runtime.metadata.name,
            "version": runtime.version,
            "sha256": runtime.sha256,
            "device": str(runtime.device),
            "precision": runtime.precision,
        }

    @property
    def name(self) -> str:
        """The name of its model."""
        return self.runtime.metadata.name

    @property
    def is_alive(self) -> bool:
        """Whether every device thread runs; not before start, and not after the device was lost."""
        return self._device.is_alive

    @property
    def is_ready(self) -> bool:
        """Whether requests should be sent here."""
        return self.is_alive and not self.trouble

    @property
    def is_running(self) -> bool:
        """Whether any device thread runs; one that still does after stop must not meet Python's own end."""
        return self._device.is_running

    @property
    def has_failed(self) -> bool:
        """Whether the device was lost for good: by an error, or because a batch did not come back."""
        return bool(self._device.failure)

    @property
    def trouble(self) -> str:
        """What is wrong with the device, for people; empty while all is well."""
        return self._device.trouble

    def start(self) -> None:
        """Begin to answer."""
        self._device.start()

    def stop(self) -> None:
        """Finish what was admitted, refuse the rest, and wait for the device threads, unless they hang."""
        self.batcher.close(STOPPING)
        self._device.join(STOP_SECONDS)
        if self.is_running:
            self.batcher.abort(STOPPING)

    def when_failed(self, callback: Callable[[], None]) -> None:
        """Have a function called, from any thread, when the device is lost for good."""
        self._failure_callbacks.append(callback)

    def _tell_of_failure(self) -> None:
        for callback in self._failure_callbacks:
            callback()

    def decode(self, z: Float32Array, *, timeout_seconds: float) -> Future:
        """Decode latents, float32 (N, D), to images, uint8 (N, H, W, C).

        Cancelling the future drops what the device has not come to. The caller holds places for the items;
        see admission.

        Raises:
            NotReady: The engine was stopped; at once.
            DeadlineExceeded: The device did not come to it within `timeout_seconds`; when awaited.
            InferenceFailed: The device failed; when awaited.
        """
        return self._run(Operation.DECODE, z, timeout_seconds)

    def encode(self, images: UInt8Array, *, timeout_seconds: float) -> Future:
        """Encode images, uint8 (N, H, W, C), to mu and log_var, float32 (N, D); raises as decode does."""
        return self._run(Operation.ENCODE, images, timeout_seconds)

    def reconstruct(self, images: UInt8Array, *, timeout_seconds: float) -> Future:
        """Encode images and decode their mu: images, mu, log_var; raises as decode does."""
        return self._run(Operation.RECONSTRUCT, images, timeout_seconds)

    def score(self, images: UInt8Array, *, timeout_seconds: float) -> Future:
        """Measure images: distortion, mse, mu, log_var; raises as decode does. Not every model can."""
        return self._run(Operation.SCORE, images, timeout_seconds)

    def _run(self, operation: Operation, inputs: Array, timeout_seconds: float) -> Future:
        loop = asyncio.get_running_loop()
        now = time.perf_counter()
        job = Job(operation, inputs, loop.create_future(), loop, now + timeout_seconds, now)
        self.batcher.submit(job)
        # The batcher looks at deadlines when it forms a batch; this answers even while the device hangs.
        expiry = loop.call_later(timeout_seconds, _expire, job)
        job.future.add_done_callback(lambda _: self._settle(job, expiry))
        return job.future

    def _settle(self, job: Job, expiry: asyncio.TimerHandle) -> None:
        expiry.cancel()
        if job.num_waiting:  # it was cancelled, or its deadline passed
            self.batcher.withdraw(job)


def _expire(job: Job) -> None:
    if not job.future.done():
        job.future.set_exception(DeadlineExceeded("the deadline passed before the device had answered"))


def available_cores() -> int:
    """The cores that this process may really use: its affinity, less a cgroup's quota."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, _quota_cores()))


def _quota_cores() -> int:
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return os.cpu_count() or 1
    return os.cpu_count() or 1 if quota == "max" else max(1, round(int(quota) / int(period)))
