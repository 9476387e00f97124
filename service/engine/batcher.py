"""Dynamic batching: queues jobs, forms batches, resolves futures. Knows nothing of devices or HTTP.

Work-conserving: a batch is formed the moment a device thread asks for one, from whatever waits. The
backlog is the batch; there is no timer and nobody polls. Items are counted, not requests: a large
job is split over batches, and cannot make a small one wait for all of it. Short tasks wait in the same
line: those that came before a job was submitted are done before its batch, which is the larger for it.

Promise: the future of every admitted job is resolved exactly once, with its own result.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from service.engine.jobs import Batch, Job, Outcome, Result, Slice, resolve, store
from service.engine.line import Line
from service.engine.pace import Pace
from service.engine.steps import Task
from service.errors import DeadlineExceeded, InferenceFailed, NotReady
from service.metrics import Metrics
from service.vae.operations import Arrays, Operation

# Takes jobs that are complete, with what they give back.
OnComplete = Callable[[Sequence[tuple[Job, Result]]], None]


class Batcher:
    """The queue between the event loop, which submits, and the device threads, which take.

    Args:
        limits: The largest batch of each operation, in items.
        num_lanes: How many threads take batches.
        pace: How fast they work a backlog off.
        metrics: Where to count.
        min_shares: Items of each operation that are not spread over idle threads.
        on_complete: Resolves the futures of complete jobs; by default with what they give back.
        clock: Seconds; replaced by tests.
    """

    def __init__(
        self,
        limits: Mapping[Operation, int],
        *,
        num_lanes: int,
        pace: Pace,
        metrics: Metrics,
        min_shares: Mapping[Operation, int] | None = None,
        on_complete: OnComplete = resolve,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._limits = dict(limits)
        self._min_shares = min_shares or dict.fromkeys(Operation, 1)
        self._num_idle = num_lanes
        self.pace = pace
        self._metrics = metrics
        self._on_complete = on_complete
        self._clock = clock
        self._changed = threading.Condition()
        self._lines = {operation: Line() for operation in Operation}
        self._tasks: deque[Task] = deque()
        self._taken: set[Batch] = set()
        self._num_waiting = dict.fromkeys(Operation, 0)
        self._refusal = ""

    @property
    def num_queued(self) -> int:
        """Items that wait for a batch."""
        return sum(self._num_waiting.values())

    def backlog_seconds(self) -> float:
        """How long the device will take for what waits, at its present speed; 0 where it is unknown."""
        return self.pace.seconds(self._num_waiting)

    def largest_batch(self, operation: Operation) -> int:
        """The items that a batch may have now; see shrink."""
        return self._limits[operation]

    def submit(self, job: Job) -> None:
        """Queue a job, for which there is a place; see admission.

        Raises:
            NotReady: The batcher is closed.
        """
        with self._changed:
            if self._refusal:
                raise NotReady(self._refusal)
            if job.is_abandoned:  # while it was handed over
                return
            self._lines[job.operation].add(job)
            self._count_waiting(job.operation, job.num_items)
            self._changed.notify(-(-job.num_items // self._min_shares[job.operation]))

    def put(self, task: Task) -> None:
        """Queue a short task; it is refused where the batcher is closed."""
        with self._changed:
            refusal = self._refusal
            if not refusal:
                self._tasks.append(task)
                self._changed.notify()
        if refusal:
            task.refuse(NotReady(refusal))

    def withdraw(self, job: Job) -> None:
        """Drop what waits of a job that nobody waits for any more."""
        with self._changed:
            self._drop(job)

    def take(self, *, wait: bool = True) -> Batch | Task | None:
        """Form a batch from what waits now, or give out the task that came before.

        Args:
            wait: Whether to sleep until there is work.

        Returns:
            None when the batcher is closed and empty, or, without waiting, when there is no work.
        """
        with self._changed:
            while True:
                work = self._next_task() or self._form() or self._next_task(is_alone=True)
                if isinstance(work, Batch):
                    self._num_idle -= 1
                    self._taken.add(work)
                if work is not None:
                    return work
                if self._refusal or not wait:
                    return None
                self._changed.wait()

    def finish(self, batch: Batch, outputs: Arrays) -> None:
        """Hand a batch's rows to its jobs, and resolve those that are complete."""
        now = self._clock()
        row = 0
        complete: list[Job] = []
        with self._changed:
            self._give_back(batch)
            for piece in batch.slices:
                num = piece.stop - piece.start
                store(piece, [output[row : row + num] for output in outputs])
                row += num
                if piece.job.num_done == piece.job.num_items:
                    complete.append(piece.job)
                    if piece.job.future.cancelled():
                        self._metrics.job_cancelled("running")
        self._on_complete([(job, job.result(now)) for job in complete])

    def fail(self, batch: Batch, error: BaseException) -> None:
        """Fail every job that has items in a batch with InferenceFailed, caused by `error`."""
        with self._changed:
            self._give_back(batch)
            for piece in batch.slices:
                self._drop(piece.job)
        resolve(_failures(batch, error))

    def release(self, batch: Batch) -> None:
        """Say that a thread is done with a batch that was finished in parts."""
        with self._changed:
            self._give_back(batch)

    def shrink(self, operation: Operation, max_items: int) -> None:
        """Form smaller batches from now on, because the device has no memory for larger ones."""
        with self._changed:
            self._limits[operation] = max(1, min(max_items, self._limits[operation]))
            self.pace.shrink(operation, self._limits[operation])

    def close(self, reason: str) -> None:
        """Admit nothing more; what waits is still served."""
        with self._changed:
            self._refusal = self._refusal or reason
            self._changed.notify_all()

    def abort(self, reason: str, *, blamed: Sequence[Batch] = (), cause: BaseException | None = None) -> None:
        """Admit nothing more and answer everybody now, whatever comes of the batches that were taken.

        Args:
            reason: What is said to those who waited, and to whoever comes: NotReady.
            blamed: Batches whose jobs fail with InferenceFailed, which nobody sends to the next replica.
            cause: What they fail of.
        """
        with self._changed:
            self._refusal = reason
            jobs = {piece.job for batch in self._taken for piece in batch.slices}
            jobs.update(job for line in self._lines.values() for job in line)
            for job in jobs:
                self._drop(job)
            tasks = list(self._tasks)
            self._tasks.clear()
            self._changed.notify_all()
        for task in tasks:
            task.refuse(NotReady(reason))
        failures = [failure for batch in blamed for failure in _failures(batch, cause)]
        resolve([*failures, *((job, NotReady(reason)) for job in jobs)])

    def _next_task(self, *, is_alone: bool = False) -> Task | None:
        """The task that has waited longest, if it came before every job, or is all there is."""
        if not self._tasks:
            return None
        oldest = min((line.oldest.arrived_seconds for line in self._lines.values() if line), default=math.inf)
        return self._tasks.popleft() if is_alone or self._tasks[0].arrived_seconds <= oldest else None

    def _form(self) -> Batch | None:
        """A batch of the operation whose oldest job has waited longest, without the late and the gone."""
        now = self._clock()
        while waiting := [line for line in self._lines.values() if line]:
            line = min(waiting, key=lambda line: line.oldest.arrived_seconds)
            shares = line.shares(self._room(line.oldest.operation))
            gone = [job for job, _ in shares if job.is_abandoned or job.deadline_seconds < now]
            if not gone:
                return self._batch(line, shares, now)
            for job in gone:
                self._drop(job)
                if not job.is_abandoned:
                    late = now - job.arrived_seconds
                    resolve([(job, DeadlineExceeded(f"the deadline passed after {late:.3f} s in the queue"))])
        return None

    def _room(self, operation: Operation) -> int:
        """The items that the next batch may have: idle lanes share, so that one request uses all of them."""
        share = -(-self._num_waiting[operation] // max(1, self._num_idle))
        return min(self._limits[operation], max(self._min_shares[operation], share))

    def _batch(self, line: Line, shares: Sequence[tuple[Job, int]], now: float) -> Batch:
        slices = []
        for job, num in shares:
            if job.num_taken == 0:
                job.started_seconds = now
                self._metrics.job_started(now - job.arrived_seconds)
            slices.append(Slice(job, job.num_taken, job.num_taken + num))
            line.take(job, num)
        batch = Batch(slices[0].job.operation, slices)
        self._count_waiting(batch.operation, -batch.num_items)
        return batch

    def _give_back(self, batch: Batch) -> None:
        """Forget a batch that a thread took; a half of one it did not take."""
        if batch in self._taken:
            self._taken.remove(batch)
            self._num_idle += 1

    def _drop(self, job: Job) -> None:
        """Forget what waits of a job."""
        line = self._lines[job.operation]
        if job in line:
            line.remove(job)
            self._count_waiting(job.operation, -job.num_waiting)
            if job.future.cancelled():
                self._metrics.job_cancelled("running" if job.num_taken else "queued")
            job.num_taken = job.num_items

    def _count_waiting(self, operation: Operation, change: int) -> None:
        self._num_waiting[operation] += change
        self._metrics.queued(change)


def _failures(batch: Batch, cause: BaseException | None) -> list[tuple[Job, Outcome]]:
    """An exception for each job of a batch: each future its own, since awaiting adds to its traceback."""
    outcomes: list[tuple[Job, Outcome]] = []
    for piece in batch.slices:
        failure = InferenceFailed(f"{batch.operation} failed on {batch.num_items} items")
        failure.__cause__ = cause
        outcomes.append((piece.job, failure))
    return outcomes
