"""Hand-written stand-ins: a clock that is moved by hand, a loop that calls at once, a future that counts."""

import asyncio
import dataclasses
import threading
from collections.abc import Callable, Sequence

import numpy as np

from service.engine.batcher import Batcher
from service.engine.device import Device
from service.engine.jobs import Batch, Job, Result
from service.engine.pace import Pace
from service.engine.steps import Task
from service.metrics import Metrics
from service.vae.operations import Array, Arrays, Operation

NO_DEADLINE = 1e9
POISON = -1.0
BUCKET = 4
LONG_SECONDS = 30


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
    num_lanes: int = 1,
    min_share: int = 1,
    metrics: Metrics | None = None,
) -> Batcher:
    return Batcher(
        dict.fromkeys(Operation, limit),
        num_lanes=num_lanes,
        pace=Pace(num_lanes, dict.fromkeys(Operation, limit)),
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


class FakeRuntime:
    """Doubles its rows.

    Args:
        num_staged: As of a Runtime.
        fault: What goes wrong with rows, None for nothing; by default ValueError where POISON is among them.
        fails_late: Whether it does so while it is waited for, and not at launch.
        seconds: What a batch takes, if it is `clock` that tells.
        clock: Moved on by each batch.

    Attributes:
        gate: While it is cleared, no batch comes back.
        events: What it was asked, by the first number of the rows.
        threads: The names of the threads that were prepared.
    """

    def __init__(
        self,
        *,
        num_staged: int = 0,
        fault: Callable[[Array], BaseException | None] | None = None,
        fails_late: bool = False,
        seconds: float = 0,
        clock: Clock | None = None,
    ) -> None:
        self.num_staged = num_staged
        self.gate = threading.Event()
        self.gate.set()
        self.events: list[str] = []
        self.threads: list[str] = []
        self._fault = fault or poisoned
        self._fails_late = fails_late
        self._seconds = seconds
        self._clock = clock or Clock()

    @property
    def num_runs(self) -> int:
        """How many batches, and parts of batches, it was given."""
        return len([event for event in self.events if event.startswith("launch")])

    def prepare_thread(self) -> None:
        self.threads.append(threading.current_thread().name)

    def bucket(self, operation: Operation, num: int) -> int:
        return max(BUCKET, num)

    def launch(self, operation: Operation, parts: Sequence[Array]) -> Callable[[], Arrays]:
        rows = np.concatenate(parts)
        first = int(rows[0, 0])
        self.events.append(f"launch {first}")
        fault = self._fault(rows)
        if fault is not None and not self._fails_late:
            raise fault

        def wait() -> Arrays:
            self.events.append(f"wait {first}")
            self._clock.now += self._seconds
            assert self.gate.wait(LONG_SECONDS)
            if fault is not None:
                raise fault
            return (2 * rows,)

        return wait


def poisoned(rows: Array) -> BaseException | None:
    """What goes wrong where POISON is among the rows."""
    return ValueError("a batch that cannot be") if POISON in rows else None


def make_device(
    runtime: FakeRuntime,
    metrics: Metrics | None = None,
    *,
    num_lanes: int = 1,
    limit: int = BUCKET,
    watchdog_seconds: float = LONG_SECONDS,
    on_failure: Callable[[], None] = lambda: None,
) -> tuple[Batcher, Device]:
    """A queue and the threads that work on it, not yet started."""
    metrics = metrics or Metrics()
    limits = dict.fromkeys(Operation, limit)
    batcher = Batcher(limits, num_lanes=num_lanes, pace=Pace(num_lanes, limits), metrics=metrics)
    return batcher, Device(
        runtime,
        batcher,
        num_lanes=num_lanes,
        watchdog_seconds=watchdog_seconds,
        metrics=metrics,
        on_failure=on_failure,
    )


def job_of(*numbers: float, operation: Operation = Operation.DECODE) -> Job:
    """A job of the running event loop, one number an item."""
    loop = asyncio.get_running_loop()
    rows = np.array(numbers, np.float32).reshape(-1, 1)
    return Job(operation, rows, loop.create_future(), loop, 1e12, loop.time())


async def outcome(job: Job) -> Result | BaseException:
    """What a job was resolved with."""
    (only,) = await asyncio.wait_for(asyncio.gather(job.future, return_exceptions=True), LONG_SECONDS)
    return only


class Recorder:
    """Makes tasks, and remembers which were done and which were refused, with what."""

    def __init__(self) -> None:
        self.done: list[int] = []
        self.refused: list[Exception] = []
        self._changed = threading.Condition()

    def task(self, number: int, *, arrived: float = 100.0, first: Callable[[], object] = int) -> Task:
        """A task of a number, which does something else first."""

        def run() -> None:
            first()
            with self._changed:
                self.done.append(number)
                self._changed.notify_all()

        return Task(run, self.refused.append, arrived)

    def wait(self, num_done: int) -> None:
        """Until so many are done."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.done) >= num_done, LONG_SECONDS)
