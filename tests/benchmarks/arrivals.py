"""Clients: a fixed number that each wait for their answer, or a fixed rate whatever the answers.

Only the second shows what happens beyond capacity: clients that wait for an answer ask less when the server
is slow, so that it is never asked for more than it can do.
"""

import asyncio
import dataclasses
from collections import Counter

import numpy as np

from tests.benchmarks.connections import Answer, Pool

BROKEN = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one request.

    Attributes:
        status: HTTP status, BROKEN where the connection ended instead.
        seconds: From when it was due, not from when it was sent, which may have been held up.
        ended: When, on the clock of the event loop.
        late_seconds: How long after it was due it was sent.
        retry_after: That header.
    """

    status: int
    seconds: float
    ended: float
    late_seconds: float
    retry_after: str | None


@dataclasses.dataclass(frozen=True)
class Run:
    """What became of all requests of some seconds."""

    outcomes: list[Outcome]
    started: float
    seconds: float

    @property
    def statuses(self) -> Counter[int]:
        """How many answers of each."""
        return Counter(outcome.status for outcome in self.outcomes)

    @property
    def goodput(self) -> float:
        """Answers a second with 200, those that came after the end left out."""
        good = self.of(200).outcomes
        return sum(outcome.ended <= self.started + self.seconds for outcome in good) / self.seconds

    def of(self, status: int) -> "Run":
        """Only those of a status."""
        chosen = [outcome for outcome in self.outcomes if outcome.status == status]
        return dataclasses.replace(self, outcomes=chosen)

    def percentile(self, percent: float, attribute: str = "seconds") -> float:
        """Of the time that answers took, or of another attribute; NaN where there were none."""
        values = [getattr(outcome, attribute) for outcome in self.outcomes]
        return float(np.percentile(values, percent)) if values else float("nan")


async def each_waiting(pool: Pool, content: bytes, *, num_clients: int, seconds: float) -> Run:
    """Clients that ask again as soon as they are answered."""
    clock = asyncio.get_running_loop().time
    started = clock()
    outcomes: list[Outcome] = []

    async def client() -> None:
        while clock() < started + seconds:
            outcomes.append(await _ask(pool, content, due=clock()))

    await asyncio.gather(*(client() for _ in range(num_clients)))
    return Run(outcomes, started, seconds)


async def at_rate(pool: Pool, content: bytes, *, requests_per_second: float, seconds: float) -> Run:
    """Requests at even distances, each sent when it is due, and then awaited to the last."""
    clock = asyncio.get_running_loop().time
    started = clock()
    tasks = []
    for index in range(round(requests_per_second * seconds)):
        due = started + index / requests_per_second
        if due > clock():
            await asyncio.sleep(due - clock())
        tasks.append(asyncio.create_task(_ask(pool, content, due=due)))
    return Run(list(await asyncio.gather(*tasks)), started, seconds)


async def _ask(pool: Pool, content: bytes, *, due: float) -> Outcome:
    clock = asyncio.get_running_loop().time
    late = clock() - due
    try:
        answer = await pool.ask(content)
    except ConnectionError:
        answer = Answer(BROKEN, [], b"")
    now = clock()
    return Outcome(answer.status, now - due, now, late, answer.header("Retry-After"))
