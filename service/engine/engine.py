"""One method an operation: from validated arrays to the future of their results, through queue and device."""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

from service.checkpoint import Float32Array, UInt8Array
from service.engine.batcher import Batcher
from service.engine.device import Device
from service.engine.jobs import Job, Result
from service.errors import DeadlineExceeded
from service.metrics import Metrics
from service.vae.operations import Array, Operation
from service.vae.runtime import Runtime

QUEUED_BATCHES = 8
STOP_SECONDS = 30

Future = asyncio.Future[Result]


class Engine:
    """A model that answers: its runtime, its queue and its device threads.

    Args:
        runtime: A warmed checkpoint.
        metrics: Where to count.
        max_items: The most items that one request may carry, so that an empty queue takes it.
        max_queued_items: Admission limit, None for 8 times the largest batch or request.
        num_lanes: Threads that run batches on the CPU, None for one a core.

    Attributes:
        has_failed: Whether the device was lost for good.
        is_draining: Whether load balancers are asked to send nothing more.
    """

    def __init__(
        self,
        runtime: Runtime,
        metrics: Metrics,
        *,
        max_items: int,
        max_queued_items: int | None = None,
        num_lanes: int | None = None,
    ) -> None:
        self.runtime = runtime
        limits = {operation: runtime.largest_bucket(operation) for operation in Operation}
        lanes = runtime.num_lanes or num_lanes or available_cores()
        self.batcher = Batcher(
            limits,
            max_queued_items=max_queued_items or QUEUED_BATCHES * max(max_items, *limits.values()),
            num_lanes=lanes,
            metrics=metrics,
            min_shares={operation: runtime.efficient_batch(operation) for operation in Operation},
        )
        self._metrics = metrics
        self.has_failed = False
        self.is_draining = False
        self._failure_callbacks: list[Callable[[], None]] = []
        self._device = Device(
            runtime, self.batcher, num_lanes=lanes, metrics=metrics, on_failure=self._tell_of_failure
        )
        labels = {
            "name": runtime.metadata.name,
            "version": runtime.version,
            "sha256": runtime.sha256,
            "device": str(runtime.device),
            "precision": runtime.precision,
        }
        metrics.model_loaded(labels, self.batcher.max_queued_items)

    @property
    def is_alive(self) -> bool:
        """Whether every device thread runs; not before start, and not after one of them failed."""
        return self._device.is_alive

    @property
    def is_ready(self) -> bool:
        """Whether requests should be sent here; while draining those that come are still answered."""
        return self.is_alive and not self.is_draining

    def start(self) -> None:
        """Begin to answer."""
        self._device.start()

    def drain(self) -> None:
        """Ask load balancers to send nothing more; what comes is still answered, until stop."""
        self.is_draining = True
        self._metrics.ready(False)

    def stop(self) -> None:
        """Finish what was admitted, refuse the rest, and wait for the device threads to end."""
        self.batcher.close()
        self._device.join(STOP_SECONDS)

    def when_failed(self, callback: Callable[[], None]) -> None:
        """Have a function called, from a device thread, when the device is lost for good."""
        self._failure_callbacks.append(callback)

    def _tell_of_failure(self) -> None:
        self.has_failed = True
        for callback in self._failure_callbacks:
            callback()

    def decode(self, z: Float32Array, *, timeout_seconds: float) -> Future:
        """Decode latents, float32 (N, D), to images, uint8 (N, H, W, C).

        Cancelling the future drops what the device has not come to.

        Raises:
            QueueFull: There is no room; at once.
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

    def _run(self, operation: Operation, inputs: Array, timeout_seconds: float) -> Future:
        loop = asyncio.get_running_loop()
        now = time.perf_counter()
        job = Job(operation, inputs, loop.create_future(), loop, now + timeout_seconds, now)
        self.batcher.submit(job)
        # The batcher looks at deadlines when it forms a batch; this answers even while the device hangs.
        expiry = loop.call_later(timeout_seconds, _expire, job)
        job.future.add_done_callback(lambda _: expiry.cancel())
        return job.future


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
