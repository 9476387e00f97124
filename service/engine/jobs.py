"""The unit of work: one request's items for the device, and the future that they resolve."""

import asyncio
import dataclasses
from collections.abc import Sequence

from service.vae.operations import Array, Arrays, Operation


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """What a job gives back: the arrays of its operation, one row an item, and where the time went."""

    outputs: Arrays
    queue_seconds: float
    device_seconds: float


@dataclasses.dataclass(eq=False, slots=True)
class Job:
    """Items of one request, which may be split over several batches and are joined again here.

    Attributes:
        operation: What to do.
        inputs: One row an item.
        future: Resolved exactly once, on `loop`.
        loop: The event loop that the future belongs to.
        deadline_seconds: On the batcher's clock; after it the job is not started any more.
        arrived_seconds: On the batcher's clock.
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
        """Nobody waits for it any more: its client has gone, or another part of it failed."""
        return self.future.done()


@dataclasses.dataclass(frozen=True, slots=True)
class Slice:
    """Items `start` to `stop` of a job, as part of a batch."""

    job: Job
    start: int
    stop: int


@dataclasses.dataclass(frozen=True, slots=True)
class Batch:
    """What the device runs at once: slices of one or more jobs of one operation, in order."""

    operation: Operation
    slices: Sequence[Slice]
    taken_seconds: float

    @property
    def num_items(self) -> int:
        """Items in it, padding not counted."""
        return sum(piece.stop - piece.start for piece in self.slices)

    @property
    def parts(self) -> list[Array]:
        """The inputs, to be laid end to end."""
        return [piece.job.inputs[piece.start : piece.stop] for piece in self.slices]
