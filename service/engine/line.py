"""The jobs of one operation that wait, and how they share a batch: small ones overtake, and none starves."""

from collections import OrderedDict
from collections.abc import Iterator

from service.engine.jobs import Job

# The share of a batch that the oldest job always gets, however many small ones overtake it.
OLDEST_SHARE = 0.25


class Line:
    """Jobs in the order in which they came, and beside that by how many of their items wait.

    Nothing takes longer the more there are: batches are formed while nobody else can get at the queue.
    """

    def __init__(self) -> None:
        # Not dict, which is slow to find its first key once many have gone from the front.
        self._jobs: OrderedDict[Job, None] = OrderedDict()
        self._by_size: dict[int, OrderedDict[Job, None]] = {}

    def __bool__(self) -> bool:
        return bool(self._jobs)

    def __iter__(self) -> Iterator[Job]:
        return iter(self._jobs)

    def __contains__(self, job: Job) -> bool:
        return job in self._jobs

    @property
    def oldest(self) -> Job:
        """The job that came first."""
        return next(iter(self._jobs))

    def add(self, job: Job) -> None:
        """Let a job wait."""
        self._jobs[job] = None
        self._join_size(job)

    def remove(self, job: Job) -> None:
        """Forget a job that waits."""
        del self._jobs[job]
        self._leave_size(job)

    def take(self, job: Job, num: int) -> None:
        """Say that so many items of a job have joined a batch."""
        self._leave_size(job)
        job.num_taken += num
        if job.num_waiting:
            self._join_size(job)
        else:
            del self._jobs[job]

    def shares(self, limit: int) -> list[tuple[Job, int]]:
        """How many items of which job go into a batch of at most `limit`.

        The job with the fewest items left goes first, which gives the shortest mean wait and lets small
        jobs overtake large ones; the oldest job always gets its share, so that no job starves.
        """
        oldest = self.oldest
        reserved = min(oldest.num_waiting, max(1, int(limit * OLDEST_SHARE)))
        shares = {oldest: reserved}
        room = limit - reserved
        for job in self._smallest_first():
            if room == 0:
                break
            more = min(room, job.num_waiting - shares.get(job, 0))
            if more:
                shares[job] = shares.get(job, 0) + more
                room -= more
        return list(shares.items())

    def _smallest_first(self) -> Iterator[Job]:
        for size in sorted(self._by_size):
            yield from self._by_size[size]

    def _join_size(self, job: Job) -> None:
        self._by_size.setdefault(job.num_waiting, OrderedDict())[job] = None

    def _leave_size(self, job: Job) -> None:
        of_size = self._by_size[job.num_waiting]
        del of_size[job]
        if not of_size:
            del self._by_size[job.num_waiting]
