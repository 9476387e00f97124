"""One async method an operation: from validated arrays to results, through the queue and the device."""

import asyncio
import os
import time
from pathlib import Path

from service.checkpoint import Float32Array, UInt8Array
from service.engine.batcher import Batcher
from service.engine.device import Device
from service.engine.jobs import Job, Result
from service.metrics import Metrics
from service.vae.operations import Array, Operation
from service.vae.runtime import Runtime

QUEUED_BATCHES = 8


class Engine:
    """A model that answers: its runtime, its queue and its device threads.

    Args:
        runtime: A warmed checkpoint.
        metrics: Where to count.
        max_items: The most items that one request may carry, so that an empty queue takes it.
        max_queued_items: Admission limit, None for 8 times the largest batch.
        num_lanes: Threads that run batches on the CPU, None for one a core.
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
        )
        self._device = Device(runtime, self.batcher, num_lanes=lanes, metrics=metrics)
        labels = {
            "name": runtime.metadata.name,
            "version": runtime.version,
            "sha256": runtime.sha256,
            "device": str(runtime.device),
            "precision": runtime.precision,
        }
        metrics.model_loaded(labels, self.batcher.max_queued_items)

    @property
    def is_ready(self) -> bool:
        """Whether every device thread runs."""
        return self._device.is_alive

    def start(self) -> None:
        """Begin to answer."""
        self._device.start()

    def stop(self) -> None:
        """Finish what was admitted, refuse the rest, and wait for the device threads to end."""
        self.batcher.close()
        self._device.join()

    async def decode(self, z: Float32Array, *, timeout_seconds: float) -> Result:
        """Decode latents, float32 (N, D), to images, uint8 (N, H, W, C).

        Raises:
            QueueFull: There is no room.
            DeadlineExceeded: The device did not come to it within `timeout_seconds`.
            InferenceFailed: The device failed.
        """
        return await self._run(Operation.DECODE, z, timeout_seconds)

    async def encode(self, images: UInt8Array, *, timeout_seconds: float) -> Result:
        """Encode images, uint8 (N, H, W, C), to mu and log_var, float32 (N, D); raises as decode does."""
        return await self._run(Operation.ENCODE, images, timeout_seconds)

    async def reconstruct(self, images: UInt8Array, *, timeout_seconds: float) -> Result:
        """Encode images and decode their mu: images, mu, log_var; raises as decode does."""
        return await self._run(Operation.RECONSTRUCT, images, timeout_seconds)

    async def _run(self, operation: Operation, inputs: Array, timeout_seconds: float) -> Result:
        loop = asyncio.get_running_loop()
        now = time.perf_counter()
        job = Job(operation, inputs, loop.create_future(), loop, now + timeout_seconds, now)
        self.batcher.submit(job)
        return await job.future


def available_cores() -> int:
    """The cores that this process may really use: its affinity, less a cgroup's quota."""
    return max(1, min(len(os.sched_getaffinity(0)), _quota_cores()))


def _quota_cores() -> int:
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return os.cpu_count() or 1
    return os.cpu_count() or 1 if quota == "max" else max(1, round(int(quota) / int(period)))
