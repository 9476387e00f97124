"""What a server does when it is asked for more than it can do, and whether its counters tell it."""

import asyncio
import dataclasses
import time
from collections import Counter
from collections.abc import Awaitable, Callable

from tests.benchmarks import accounts, machine
from tests.benchmarks.arrivals import BROKEN, Run, at_rate, each_waiting
from tests.benchmarks.connections import Pool, request
from tests.scrape import samples

LIVEZ, SCRAPE = request("GET", "/livez"), request("GET", "/metrics")
PROBES_PER_SECOND = 10
WARM_UP_SECONDS = 1.0


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is asked for, how many times the capacity, and for how long."""

    num_images: int = 64
    accept: str = "image/png"
    factor: float = 3.0
    seconds: float = 20.0
    capacity_seconds: float = 5.0

    def request(self) -> bytes:
        """The one request, a sample, that is sent again and again."""
        headers = {"Accept": self.accept}
        body = b'{"n":%d}' % self.num_images
        return request("POST", "/sample", body, content_type="application/json", headers=headers)


@dataclasses.dataclass(frozen=True)
class Overload:
    """What was seen.

    Attributes:
        plan: What was asked for.
        before: The capacity, with clients that wait for their answer, a moment before.
        load: Requests at a constant rate of several times that.
        probes: Of /livez meanwhile.
        after: The capacity a moment after: the difference is what else the machine did.
        cores: Core seconds a second under the load: of the server, of the clients and of all else.
        discrepancies: What the server's counters say otherwise than its clients.
    """

    plan: Plan
    before: Run
    load: Run
    probes: Run
    after: Run
    cores: dict[str, float]
    discrepancies: list[str]

    def faults(self) -> list[str]:
        """What must not be, however slow or busy the machine is."""
        unexpected = {status: num for status, num in self.load.statuses.items() if status not in (200, 429)}
        refused = self.load.of(429).outcomes
        found = {
            f"answers other than 200 and 429 ({BROKEN}: broken connections): {unexpected}": unexpected,
            "refusals without Retry-After": [one for one in refused if one.retry_after is None],
            "probes of /livez that were not answered with 200": set(self.probes.statuses) != {200},
            "nothing was refused, so this was no overload": not refused,
        }
        return [*(text for text, is_so in found.items() if is_so), *self.discrepancies]

    def figures(self) -> dict[str, float]:
        """What the table shows, seconds and requests a second."""
        refused, answered = self.load.of(429), self.load.of(200)
        return {
            "capacity before": self.before.goodput,
            "capacity after": self.after.goodput,
            "sent": len(self.load.outcomes) / self.load.seconds,
            "goodput": self.load.goodput,
            "goodput share": self.load.goodput / self.before.goodput,
            "answer p50": answered.percentile(50),
            "answer p99": answered.percentile(99),
            "refusal p50": refused.percentile(50),
            "refusal p99": refused.percentile(99),
            "livez p50": self.probes.percentile(50),
            "livez p99": self.probes.percentile(99),
            "sent late p99": self.load.percentile(99, "late_seconds"),
            **{f"{name} cores": value for name, value in self.cores.items()},
        }


async def measure(url: str, plan: Plan, *, core_seconds: Callable[[], float] = lambda: 0.0) -> Overload:
    """Measure the capacity, then ask for several times as much.

    Args:
        url: Of a server that nobody else asks anything.
        plan: What to ask for.
        core_seconds: Asked for those that the server has used.
    """
    content = plan.request()
    async with Pool(url) as pool, Pool(url) as probing:
        at_start = samples((await pool.ask(SCRAPE)).body)
        # As many as there are places for: more would be refused, fewer might leave the device idle.
        num_clients = max(1, int(at_start["vae_queue_capacity_items"]) // plan.num_images)

        def capacity(seconds: float) -> Awaitable[Run]:
            return each_waiting(pool, content, num_clients=num_clients, seconds=seconds)

        warming = await capacity(WARM_UP_SECONDS)
        before = await capacity(plan.capacity_seconds)
        # What the machine was kept from doing in one of them, it can do when the load comes.
        rate = plan.factor * max(warming.goodput, before.goodput)
        used = _Cores(core_seconds)
        load, probes = await asyncio.gather(
            at_rate(pool, content, requests_per_second=rate, seconds=plan.seconds),
            at_rate(probing, LIVEZ, requests_per_second=PROBES_PER_SECOND, seconds=plan.seconds),
        )
        cores = used.each_second()
        after = await capacity(plan.capacity_seconds)
        at_end = samples((await pool.ask(SCRAPE)).body)
    wrong = _discrepancies(plan, at_start, at_end, [warming, before, load, after], probes)
    return Overload(plan, before, load, probes, after, cores, wrong)


def _discrepancies(
    plan: Plan, at_start: accounts.Samples, at_end: accounts.Samples, runs: list[Run], probes: Run
) -> list[str]:
    asked = Counter[int]()
    for run in runs:
        asked += run.statuses
    # The first scrape counts itself once it has been answered, so that the second one shows it.
    others = probes.statuses + Counter([200])
    seen = [accounts.Seen("sample", asked), accounts.Seen("other", others)]
    return [
        *accounts.discrepancies(at_start, at_end, seen),
        *accounts.of_samples(at_start, at_end, num_answered=asked[200], num_images=plan.num_images),
    ]


class _Cores:
    """Who used the cores since it was made."""

    def __init__(self, core_seconds: Callable[[], float]) -> None:
        self._of_server = core_seconds
        self._start = self._now()

    def _now(self) -> tuple[float, ...]:
        return time.perf_counter(), self._of_server(), time.process_time(), machine.busy_core_seconds()

    def each_second(self) -> dict[str, float]:
        """Core seconds a second of the server, of the clients (this process) and of all else."""
        seconds, server, clients, busy = (b - a for a, b in zip(self._start, self._now(), strict=True))
        used = {"server": server, "client": clients, "other": max(0.0, busy - server - clients)}
        return {name: value / seconds for name, value in used.items()}
