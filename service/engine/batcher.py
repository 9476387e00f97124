"""Dynamic batching: admits jobs, forms batches, resolves futures. Knows nothing of devices or HTTP.

Work-conserving: a batch is formed the moment a device thread asks for one, from whatever waits. The
backlog is the batch; there is no timer and nobody polls. Items are counted, not requests: a large
job is split over batches, and cannot make a small one wait for all of it.

Promise: the future of every admitted job is resolved exactly once, with its own result.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence

from service.engine.jobs import Batch, Job, Slice, resolve, store
from service.errors import DeadlineExceeded, InferenceFailed, NotReady, QueueFull
from service.metrics import Metrics
from service.vae.operations import Arrays, Operation

# The share of a batch that the oldest job always gets, however many small ones overtake it.
OLDEST_SHARE = 0.25


class Batcher:
    """The queue between the event loop, which submits, and the device threads, which take.

    Args:
        limits: The largest batch of each operation, in items.
        max_queued_items: Admission limit; a job that would exceed it is refused.
        num_lanes: How many threads take batches.
        metrics: Where to count.
        min_shares: Items of each operation that are not spread over idle threads.
        clock: Seconds; replaced by tests.
    """

    def __init__(
        self,
        limits: Mapping[Operation, int],
        *,
        max_queued_items: int,
        num_lanes: int,
        metrics: Metrics,
        min_shares: Mapping[Operation, int] | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.max_queued_items = max_queued_items
        self._limits = dict(limits)
        self._min_shares = min_shares or dict.fromkeys(Operation, 1)
        self._num_lanes = self._num_idle = num_lanes
        self._metrics = metrics
        self._clock = clock
        self._changed = threading.Condition()
        self._queues: dict[Operation, list[Job]] = {operation: [] for operation in Operation}
        self._num_queued = 0
        self._items_per_second = 0.0
        self._is_open = True

    @property
    def num_queued(self) -> int:
        """Items that wait for a batch."""
        return self._num_queued

    def submit(self, job: Job) -> None:
        """Admit a job.

        Raises:
            QueueFull: Its items do not fit beside those that wait, or would wait past their deadline.
            NotReady: The batcher is closed.
        """
        with self._changed:
            if not self._is_open:
                raise NotReady("the service is shutting down")
            if not self._fits(job):
                self._drop_the_late_and_the_gone()
            if not self._fits(job):
                waiting = f"{self._num_queued} of {self.max_queued_items} places are taken"
                raise QueueFull(
                    f"the queue is full: {waiting}, {job.num_items} more were asked for",
                    retry_after_seconds=self._backlog_seconds(),
                )
            self._check_deadline(job)
            self._queues[job.operation].append(job)
            self._count_queued(job.num_items)
            self._changed.notify(-(-job.num_items // self._min_shares[job.operation]))

    def take(self, *, wait: bool = True) -> Batch | None:
        """Form a batch from what waits now.

        Args:
            wait: Whether to sleep until there is work.

        Returns:
            None when the batcher is closed and empty, or, without waiting, when there is no work.
        """
        with self._changed:
            while True:
                batch = self._form()
                if batch is not None:
                    self._num_idle -= 1
                    return batch
                if not self._is_open or not wait:
                    return None
                self._changed.wait()

    def finish(self, batch: Batch, outputs: Arrays) -> None:
        """Hand a batch's rows to its jobs, and resolve those that are complete."""
        now = self._clock()
        row = 0
        complete: list[Job] = []
        with self._changed:
            self._num_idle += not batch.is_part
            self._learn(batch.num_items, now - batch.taken_seconds)
            for piece in batch.slices:
                num = piece.stop - piece.start
                store(piece, [output[row : row + num] for output in outputs])
                row += num
                if piece.job.num_done == piece.job.num_items:
                    complete.append(piece.job)
        resolve([(job, job.result(now)) for job in complete])

    def fail(self, batch: Batch, error: Exception) -> None:
        """Fail every job that has items in a batch with InferenceFailed, caused by `error`."""
        with self._changed:
            self._num_idle += not batch.is_part
            for piece in batch.slices:
                self._drop(piece.job)
        resolve([(piece.job, _inference_failed(batch, error)) for piece in batch.slices])

    def release(self) -> None:
        """Say that a thread is done with a batch that was finished in parts."""
        with self._changed:
            self._num_idle += 1

    def shrink(self, operation: Operation, max_items: int) -> None:
        """Form smaller batches from now on, because the device has no memory for larger ones."""
        with self._changed:
            self._limits[operation] = max(1, min(max_items, self._limits[operation]))

    def close(self, error: Exception | None = None) -> None:
        """Admit nothing more; what waits is still served, or fails with `error` where one is given."""
        with self._changed:
            self._is_open = False
            waiting = [job for queue in self._queues.values() for job in queue] if error else []
            for job in waiting:
                self._drop(job)
            self._changed.notify_all()
        if error is not None:
            resolve([(job, error) for job in waiting])

    def _check_deadline(self, job: Job) -> None:
        if not self._num_queued or not self._items_per_second:
            return
        backlog_seconds = self._backlog_seconds()
        if self._clock() + backlog_seconds > job.deadline_seconds:
            wait = f"the queue holds {backlog_seconds:.3f} s of work"
            raise QueueFull(f"the deadline cannot be met: {wait}", retry_after_seconds=backlog_seconds)

    def _fits(self, job: Job) -> bool:
        """An empty queue takes any job, so that none is refused for ever."""
        return self._num_queued == 0 or self._num_queued + job.num_items <= self.max_queued_items

    def _form(self) -> Batch | None:
        self._drop_the_late_and_the_gone()
        waiting = [queue for queue in self._queues.values() if queue]
        if not waiting:
            return None
        queue = min(waiting, key=lambda queue: queue[0].arrived_seconds)
        operation = queue[0].operation
        num_items = sum(job.num_waiting for job in queue)
        # Idle lanes share what there is, so that one request uses the whole machine.
        share = max(self._min_shares[operation], -(-num_items // max(1, self._num_idle)))
        limit = min(self._limits[operation], share)
        now = self._clock()
        slices = []
        for job, num in _shares(queue, limit):
            if job.num_taken == 0:
                job.started_seconds = now
                self._metrics.job_started(now - job.arrived_seconds)
            slices.append(Slice(job, job.num_taken, job.num_taken + num))
            job.num_taken += num
        self._queues[operation] = [job for job in queue if job.num_waiting]
        batch = Batch(operation, slices, now)
        self._count_queued(-batch.num_items)
        return batch

    def _drop_the_late_and_the_gone(self) -> None:
        now = self._clock()
        for queue in self._queues.values():
            for job in [job for job in queue if job.is_abandoned or job.deadline_seconds < now]:
                self._drop(job)
                if job.future.cancelled():
                    self._metrics.job_cancelled()
                elif not job.is_abandoned:
                    late = now - job.arrived_seconds
                    resolve([(job, DeadlineExceeded(f"the deadline passed after {late:.3f} s in the queue"))])

    def _drop(self, job: Job) -> None:
        """Forget what waits of a job."""
        queue = self._queues[job.operation]
        if job in queue:
            queue.remove(job)
            self._count_queued(-job.num_waiting)
            job.num_taken = job.num_items

    def _count_queued(self, change: int) -> None:
        self._num_queued += change
        self._metrics.queued(self._num_queued)

    def _learn(self, num_items: int, seconds: float) -> None:
        speed = self._num_lanes * num_items / max(seconds, 1e-6)
        self._items_per_second += 0.1 * (speed - self._items_per_second) if self._items_per_second else speed

    def _backlog_seconds(self) -> float:
        return self._num_queued / self._items_per_second if self._items_per_second else 1.0


def _inference_failed(batch: Batch, cause: Exception) -> InferenceFailed:
    """An exception for one job: each future needs its own, since awaiting adds to its traceback."""
    failure = InferenceFailed(f"{batch.operation} failed on {batch.num_items} items")
    failure.__cause__ = cause
    return failure


def _shares(queue: Sequence[Job], limit: int) -> list[tuple[Job, int]]:
    """How many items of which job go into a batch of at most `limit`.

    The job with the fewest items left goes first, which gives the shortest mean wait and lets small
    jobs overtake large ones; the oldest job always gets its share, so that no job starves.
    """
    oldest = queue[0]
    reserved = min(oldest.num_waiting, max(1, int(limit * OLDEST_SHARE)))
    shares = {oldest: reserved}
    room = limit - reserved
    for job in sorted(queue, key=lambda job: job.num_waiting):
        if room == 0:
            break
        more = min(room, job.num_waiting - shares.get(job, 0))
        if more:
            shares[job] = shares.get(job, 0) + more
            room -= more
    return list(shares.items())
