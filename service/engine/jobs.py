"""The unit of work: one request's items for the device, and the future that they resolve."""

import asyncio
import dataclasses
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from service.engine.steps import Step, settle
from service.vae.operations import Array, Arrays, Operation


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """What a job gives back, and where the time went.

    Attributes:
        outputs: The arrays of its operation, one row an item.
        queue_seconds: From when its inputs were there to its first batch.
        device_seconds: From there to the end of its last batch.
        prepare_seconds: From its request to its inputs, where steps had to make them.
        finish_seconds: From its last batch to its answer.
        answer: What its last step made of it, None where it has none.
    """

    outputs: Arrays
    queue_seconds: float
    device_seconds: float
    prepare_seconds: float = 0.0
    finish_seconds: float = 0.0
    answer: Any = None


Outcome = Result | BaseException
# The inputs of a job that are still to be made.
NO_ROWS: Array = np.empty(0)


@dataclasses.dataclass(eq=False, slots=True)
class Job:
    """Items of one request, which may be split over several batches and are joined again here.

    Attributes:
        operation: What to do.
        inputs: One row an item.
        future: Resolved exactly once, on `loop`.
        loop: The event loop that the future belongs to.
        deadline_seconds: On the batcher's clock; after it the job is not started any more.
        arrived_seconds: On the batcher's clock; when its inputs were there.
        finish: Makes an answer of its inputs and its outputs.
        prepare_seconds: What making its inputs took.
        num_taken: Items that have joined a batch.
        num_done: Items whose results are in `outputs`.
        started_seconds: When the first item joined a batch.
    """

    operation: Operation
    inputs: Array
    future: asyncio.Future[Result]
    loop: asyncio.AbstractEventLoop
    deadline_seconds: float
    arrived_seconds: float
    finish: Step | None = None
    prepare_seconds: float = 0.0
    num_taken: int = 0
    num_done: int = 0
    started_seconds: float = 0.0
    outputs: list[Array] | None = None

    @property
    def num_items(self) -> int:
        """All items, in a batch or not."""
        return len(self.inputs)

    @property
    def num_waiting(self) -> int:
        """Items that have not joined a batch."""
        return len(self.inputs) - self.num_taken

    @property
    def is_abandoned(self) -> bool:
        """Nobody waits for it any more: its client has gone, its deadline passed, or a part of it failed."""
        return self.future.done()

    def result(self, now_seconds: float) -> Result:
        """What it gives back once every item is done."""
        assert self.outputs is not None
        return Result(
            tuple(self.outputs),
            queue_seconds=self.started_seconds - self.arrived_seconds,
            device_seconds=now_seconds - self.started_seconds,
            prepare_seconds=self.prepare_seconds,
        )

    def finished(self, result: Result, since_seconds: float) -> Outcome:
        """A result with its answer, or what making that raised.

        Args:
            result: As `result` gives it.
            since_seconds: When that was, by time.perf_counter.
        """
        if self.finish is None or self.is_abandoned:
            return result
        try:
            answer = self.finish.function(self.inputs, result.outputs)
        except BaseException as error:
            return error
        seconds = time.perf_counter() - since_seconds
        return dataclasses.replace(result, answer=answer, finish_seconds=seconds)


@dataclasses.dataclass(frozen=True, slots=True)
class Slice:
    """Items `start` to `stop` of a job, as part of a batch."""

    job: Job
    start: int
    stop: int


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Batch:
    """What the device runs at once: slices of one or more jobs of one operation, in order."""

    operation: Operation
    slices: Sequence[Slice]

    def halves(self) -> "tuple[Batch, Batch]":
        """Two parts of nearly the same size, in order; a slice in the middle is cut."""
        left: list[Slice] = []
        right: list[Slice] = []
        room = self.num_items // 2
        for piece in self.slices:
            cut = piece.start + min(room, piece.stop - piece.start)
            room -= cut - piece.start
            left += [Slice(piece.job, piece.start, cut)] if cut > piece.start else []
            right += [Slice(piece.job, cut, piece.stop)] if cut < piece.stop else []
        return Batch(self.operation, left), Batch(self.operation, right)

    @property
    def num_items(self) -> int:
        """Items in it, padding not counted."""
        return sum(piece.stop - piece.start for piece in self.slices)

    @property
    def parts(self) -> list[Array]:
        """The inputs, to be laid end to end."""
        return [piece.job.inputs[piece.start : piece.stop] for piece in self.slices]


def store(piece: Slice, rows: Sequence[Array]) -> None:
    """Keep the results of a slice, one row an item, in its job."""
    job = piece.job
    if piece.start == 0 and piece.stop == job.num_items:
        job.outputs = list(rows)
    else:
        if job.outputs is None:
            job.outputs = [np.empty((job.num_items, *part.shape[1:]), part.dtype) for part in rows]
        for output, part in zip(job.outputs, rows, strict=True):
            output[piece.start : piece.stop] = part
    job.num_done += piece.stop - piece.start


def resolve(outcomes: Sequence[tuple[Job, Outcome]]) -> None:
    """Resolve the futures of jobs from any thread, waking their event loop once."""
    for loop in {job.loop for job, _ in outcomes}:
        of_loop = [(job, outcome) for job, outcome in outcomes if job.loop is loop]
        with suppress(RuntimeError):  # the loop is closed: nobody is left to wait
            loop.call_soon_threadsafe(_set, of_loop)


def _set(outcomes: Sequence[tuple[Job, Outcome]]) -> None:
    for job, outcome in outcomes:
        settle(job.future, outcome)
