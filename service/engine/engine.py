"""One method an operation: from validated arrays to the future of their results, through queue and device."""

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from service.engine.admission import Admission
from service.engine.batcher import Batcher
from service.engine.codecs import Codecs
from service.engine.cores import available_cores
from service.engine.device import Device
from service.engine.jobs import NO_ROWS, Job, Result, resolve
from service.engine.making import Making
from service.engine.pace import Pace
from service.engine.steps import Step, Task, resolving
from service.errors import DeadlineExceeded
from service.metrics import Metrics
from service.vae.operations import Array, Operation
from service.vae.runtime import Runtime

QUEUED_BATCHES = 8
# An engine is stopped when its requests are answered: what is left on the device then is for nobody.
STOP_SECONDS = 2
STOPPING = "the service is shutting down"

Future = asyncio.Future[Result]
# Rows, or steps that each give some of them, in order.
Rows = Array | Sequence[Step]


class Engine:
    """A model that answers: its runtime, its queue and its device threads.

    Args:
        runtime: A warmed checkpoint.
        codecs: For the steps that would hold a batch up.
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
        codecs: Codecs,
        metrics: Metrics,
        *,
        max_items: int,
        max_queued_items: int | None = None,
        num_lanes: int | None = None,
        watchdog_seconds: float = 30,
    ) -> None:
        self.runtime = runtime
        self._codecs = codecs
        self._metrics = metrics
        # Where the network runs on the cores, its threads do the short steps too.
        self._does_steps = runtime.device.type == "cpu"
        limits = {operation: runtime.largest_bucket(operation) for operation in runtime.seconds}
        lanes = runtime.num_lanes or num_lanes or available_cores()
        efficient = {operation: runtime.efficient_batch(operation) for operation in runtime.seconds}
        seconds = {operation: runtime.seconds[operation][size] for operation, size in efficient.items()}
        pace = Pace(lanes, efficient, seconds)
        self.batcher = Batcher(
            limits,
            num_lanes=lanes,
            pace=pace,
            metrics=metrics,
            min_shares=efficient,
            on_complete=self._complete,
        )
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

    def decode(self, z: Rows, *, timeout_seconds: float, finish: Step | None = None) -> Future:
        """Decode latents, float32 (N, D), to images, uint8 (N, H, W, C).

        Cancelling the future drops what the device has not come to. The caller holds places for the items;
        see admission.

        Args:
            z: The latents, or steps that give them.
            timeout_seconds: For all of it.
            finish: Given the inputs and the outputs, makes the answer.

        Raises:
            NotReady: The engine was stopped; at once.
            DeadlineExceeded: The device did not come to it within `timeout_seconds`; when awaited.
            InferenceFailed: The device failed; when awaited. What steps raise, too.
        """
        return self._run(Operation.DECODE, z, timeout_seconds, finish)

    def encode(self, images: Rows, *, timeout_seconds: float, finish: Step | None = None) -> Future:
        """Encode images, uint8 (N, H, W, C), to mu and log_var, float32 (N, D); see decode."""
        return self._run(Operation.ENCODE, images, timeout_seconds, finish)

    def reconstruct(self, images: Rows, *, timeout_seconds: float, finish: Step | None = None) -> Future:
        """Encode images and decode their mu: images, mu, log_var; see decode."""
        return self._run(Operation.RECONSTRUCT, images, timeout_seconds, finish)

    def score(self, images: Rows, *, timeout_seconds: float, finish: Step | None = None) -> Future:
        """Measure images: distortion, mse, mu, log_var; see decode. Not every model can."""
        return self._run(Operation.SCORE, images, timeout_seconds, finish)

    def do(self, step: Step, *, timeout_seconds: float) -> asyncio.Future[Any]:
        """Do a step that is not part of a job, and give back what it gives.

        It is not begun once the future was cancelled or its time ran out.

        Raises:
            NotReady: The engine was stopped; when awaited.
            DeadlineExceeded: It was not done within `timeout_seconds`; when awaited.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._post(resolving(future, loop, step), step.is_short)
        expiry = loop.call_later(timeout_seconds, _expire, future)
        future.add_done_callback(lambda _: expiry.cancel())
        return future

    def _run(self, operation: Operation, rows: Rows, timeout_seconds: float, finish: Step | None) -> Future:
        loop = asyncio.get_running_loop()
        now = time.perf_counter()
        job = Job(operation, NO_ROWS, loop.create_future(), loop, now + timeout_seconds, now, finish)
        if isinstance(rows, np.ndarray):
            job.inputs = rows
            self.batcher.submit(job)
        else:
            making = Making(job, rows, submit=self.batcher.submit, post=self._post)
            making.start(self._codecs.num_threads)
        # The batcher looks at deadlines when it forms a batch; this answers even while the device hangs.
        expiry = loop.call_later(timeout_seconds, _expire, job.future)
        job.future.add_done_callback(lambda _: self._settle(job, expiry))
        return job.future

    def _post(self, task: Task, is_short: bool) -> None:
        if is_short and self._does_steps:
            self.batcher.put(task)
        else:
            self._codecs.put(task)

    def _complete(self, results: Sequence[tuple[Job, Result]]) -> None:
        """Resolve jobs that are done: here where their last step is short, else by a codec thread."""
        now = time.perf_counter()
        here: list[tuple[Job, Result]] = []
        for job, result in results:
            if job.finish is None or (job.finish.is_short and self._does_steps):
                here.append((job, result))
            else:
                self._codecs.put(Task(partial(_finish, job, result, now), partial(_refuse, job)))
        resolve([(job, job.finished(result, now)) for job, result in here])

    def _settle(self, job: Job, expiry: asyncio.TimerHandle) -> None:
        expiry.cancel()
        if job.num_waiting:  # it was cancelled, or its deadline passed
            self.batcher.withdraw(job)
        elif job.inputs is NO_ROWS and job.future.cancelled():
            self._metrics.job_cancelled("queued")


def _expire(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_exception(DeadlineExceeded("the deadline passed before the device had answered"))


def _finish(job: Job, result: Result, since_seconds: float) -> None:
    resolve([(job, job.finished(result, since_seconds))])


def _refuse(job: Job, error: Exception) -> None:
    resolve([(job, error)])
