"""Hand-written stand-ins: a clock that is moved by hand, a loop that calls at once, a future that counts."""

import dataclasses
from collections.abc import Callable

import numpy as np

from service.engine.batcher import Batcher
from service.engine.jobs import Batch, Job
from service.metrics import Metrics
from service.vae.operations import Operation

NO_DEADLINE = 1e9


class Clock:
    """Seconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Loop:
    """Calls at once what is to be called soon."""

    def call_soon_threadsafe(self, function: Callable[..., object], *arguments: object) -> None:
        function(*arguments)


class ClosedLoop:
    """An event loop whose program has ended."""

    def call_soon_threadsafe(self, function: Callable[..., object], *arguments: object) -> None:
        raise RuntimeError("Event loop is closed")


@dataclasses.dataclass
class Future:
    """Remembers everything that it was resolved with."""

    outcomes: list[object] = dataclasses.field(default_factory=list)
    is_cancelled: bool = False

    def done(self) -> bool:
        return self.is_cancelled or bool(self.outcomes)

    def cancel(self) -> None:
        self.is_cancelled = True

    def cancelled(self) -> bool:
        return self.is_cancelled

    def set_result(self, result: object) -> None:
        self.outcomes.append(result)

    def set_exception(self, error: Exception) -> None:
        self.outcomes.append(error)

    @property
    def outcome(self) -> object:
        (only,) = self.outcomes
        return only


def make_batcher(
    clock: Clock | None = None,
    *,
    limit: int = 8,
    max_queued_items: int = 1000,
    num_lanes: int = 1,
    min_share: int = 1,
    metrics: Metrics | None = None,
) -> Batcher:
    return Batcher(
        dict.fromkeys(Operation, limit),
        max_queued_items=max_queued_items,
        num_lanes=num_lanes,
        min_shares=dict.fromkeys(Operation, min_share),
        metrics=metrics or Metrics(),
        clock=clock or Clock(),
    )


def make_job(
    num_items: int,
    *,
    first: int = 0,
    operation: Operation = Operation.DECODE,
    arrived: float = 100.0,
    deadline: float = NO_DEADLINE,
    loop: object = None,
) -> Job:
    """A job whose rows are the numbers from `first`."""
    inputs = np.arange(first, first + num_items, dtype=np.float32).reshape(-1, 1)
    return Job(operation, inputs, Future(), loop or Loop(), deadline, arrived)


def answers(batch: Batch) -> tuple[np.ndarray, ...]:
    """What the fake device makes of a batch: its rows doubled, and negated."""
    rows = np.concatenate(batch.parts)
    return 2 * rows, -rows


def items_of(batch: Batch, job: Job) -> list[int]:
    """The indices of a job's items that are in a batch."""
    return [index for piece in batch.slices if piece.job is job for index in range(piece.start, piece.stop)]
