"""A mixture of every kind of request for as long as one likes, and what the server holds meanwhile."""

import asyncio
import dataclasses
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence

from tests.benchmarks import accounts
from tests.benchmarks.arrivals import BROKEN
from tests.benchmarks.connections import Pool, request
from tests.benchmarks.mixture import Kind
from tests.benchmarks.vitals import Vitals, growth_megabytes_a_minute, vitals
from tests.scrape import samples

SAMPLE_SECONDS = 1.0
# A client that leaves does so at any moment up to this one; one that stays is not kept waiting longer.
MAX_PATIENCE_SECONDS, MAX_WAIT_SECONDS = 0.05, 60.0
# After the last request the server may take so long to close what its clients have closed.
SETTLE_SECONDS = 10.0
UNANSWERED = -1
# What codec threads do, and what the event loop's own threads do. So many at once are more than ever meet;
# as some of them may come late all the same, several times in a row must have started no thread.
IN_THREADS = ("/reconstruct: photo", "GET /metrics")
NUM_AT_ONCE, TIMES_ALIKE = 16, 3

SCRAPE = request("GET", "/metrics")


@dataclasses.dataclass(frozen=True)
class Endurance:
    """What was seen.

    Attributes:
        num_sent: Requests.
        unexpected: Answers that a kind of request must not get; BROKEN and UNANSWERED among them.
        warm: The server's process, each second after it was warm.
        rests: The same when no client was connected: before, and after everything.
        discrepancies: What the server's counters say otherwise than its clients.
    """

    num_sent: int
    unexpected: Counter[tuple[str, int]]
    warm: Sequence[Vitals]
    rests: tuple[Vitals, Vitals]
    discrepancies: list[str]

    @property
    def growth(self) -> float:
        """Of resident memory, in megabytes a minute."""
        return growth_megabytes_a_minute(self.warm)

    def faults(self) -> list[str]:
        """What must not be, however slow or busy the machine is."""
        threads = {one.num_threads for one in self.warm}
        before, after = (rest.num_descriptors for rest in self.rests)
        found = {
            f"the number of threads changed: {sorted(threads)}": len(threads) > 1,
            f"open descriptors at rest: {before} before, {after} after": before != after,
        }
        wrong = [f"{name}: {num} times {status}" for (name, status), num in self.unexpected.items()]
        return [*(text for text, is_so in found.items() if is_so), *wrong, *self.discrepancies]


class Clients:
    """Send requests of given kinds, chosen at random from a seed, and remember what became of them.

    Attributes:
        unexpected: See Endurance.
        num_sent: Likewise.
    """

    def __init__(self, pool: Pool, kinds: Sequence[Kind], *, seed: int = 0) -> None:
        self._pool = pool
        self._kinds = kinds
        self._random = random.Random(seed)
        self._statuses: defaultdict[str, Counter[int]] = defaultdict(Counter)
        self._num_left: Counter[str] = Counter()
        self.unexpected: Counter[tuple[str, int]] = Counter()
        self.num_sent = 0

    async def every_kind(self) -> None:
        """One request of each kind, one after another."""
        for kind in self._kinds:
            await self._send(kind)

    async def at_once(self, names: Collection[str], num: int) -> None:
        """So many requests of each of these kinds, all at the same time."""
        async with asyncio.TaskGroup() as under_way:
            for kind in self._kinds:
                for _ in range(num if kind.name in names else 0):
                    under_way.create_task(self._send(kind))

    async def at_rate(self, requests_per_second: float, seconds: float) -> None:
        """Requests of any kind at even distances, each sent when it is due, and then awaited."""
        clock = asyncio.get_running_loop().time
        started = clock()
        async with asyncio.TaskGroup() as under_way:
            for index in range(round(requests_per_second * seconds)):
                await asyncio.sleep(max(0.0, started + index / requests_per_second - clock()))
                under_way.create_task(self._send(self._random.choice(self._kinds)))

    async def scrape(self) -> tuple[accounts.Samples, list[accounts.Seen]]:
        """The server's counters, and what was sent and answered until then."""
        found = samples((await self._pool.ask(SCRAPE)).body)
        operations = {*self._statuses, *self._num_left}
        seen = [accounts.Seen(one, Counter(self._statuses[one]), self._num_left[one]) for one in operations]
        self._statuses["other"][200] += 1  # a scrape counts itself once it has been answered
        return found, seen

    async def _send(self, kind: Kind) -> None:
        self.num_sent += 1
        patience = self._random.uniform(0, MAX_PATIENCE_SECONDS) if kind.leaves else MAX_WAIT_SECONDS
        status = await self._status(kind, patience)
        if status == UNANSWERED and kind.operation is not None:
            self._num_left[kind.operation] += 1
        elif kind.operation is not None:
            self._statuses[kind.operation][status] += 1
        if status not in kind.statuses and not (kind.leaves and status == UNANSWERED):
            self.unexpected[kind.name, status] += 1

    async def _status(self, kind: Kind, patience_seconds: float) -> int:
        try:
            return (await self._pool.ask(kind.content, patience_seconds=patience_seconds)).status
        except TimeoutError:
            return UNANSWERED
        except ConnectionError:
            return BROKEN


async def endure(
    url: str,
    pid: int,
    kinds: Sequence[Kind],
    *,
    requests_per_second: float,
    seconds: float,
    warm_up_seconds: float,
    say: Callable[[float], None] = lambda _: None,
) -> Endurance:
    """Send a mixture for some seconds, of which the first warm the server up.

    Args:
        url: Of a server that nobody else asks anything.
        pid: Of its process, on this machine.
        kinds: Of requests.
        requests_per_second: Far below what the server can do.
        seconds: In all, after one request of each kind.
        warm_up_seconds: After which nothing may grow any more.
        say: Told each second how many have passed.
    """
    async with Pool(url) as pool:
        clients = Clients(pool, kinds)
        at_start, _ = await clients.scrape()
        await clients.every_kind()
        await _start_threads(clients, pid)
        pool.close()
        rest = await _rest(pid)
        seen: list[Vitals] = []
        watch = asyncio.create_task(_watch(pid, seen, say))
        await clients.at_rate(requests_per_second, seconds)
        watch.cancel()
        at_end, sent = await _settled(clients)
        pool.close()
        rests = (rest, await _rest(pid, rest.num_descriptors))
    wrong = accounts.discrepancies(at_start, at_end, sent)
    warm = [one for one in seen if one.seconds >= seen[0].seconds + warm_up_seconds]
    return Endurance(clients.num_sent, clients.unexpected, warm, rests, wrong)


async def _start_threads(clients: Clients, pid: int) -> None:
    """Keep the server's pools of threads busy until they start none any more.

    They start one only where all are busy: else that would be whenever two requests happen to meet.
    """
    num_alike, last = 0, 0
    while num_alike < TIMES_ALIKE:
        await clients.at_once(IN_THREADS, NUM_AT_ONCE)
        now = vitals(pid).num_threads
        num_alike, last = (num_alike + 1 if now == last else 0), now


async def _watch(pid: int, seen: list[Vitals], say: Callable[[float], None]) -> None:
    while True:
        seen.append(vitals(pid))
        say(seen[-1].seconds - seen[0].seconds)
        await asyncio.sleep(SAMPLE_SECONDS)


async def _settled(clients: Clients) -> tuple[accounts.Samples, list[accounts.Seen]]:
    """A scrape when nothing is under way any more: the work of clients that left ends a little later."""
    ends = time.monotonic() + SETTLE_SECONDS
    while True:
        found, sent = await clients.scrape()
        if not found["vae_admitted_items"] or time.monotonic() > ends:
            return found, sent
        await asyncio.sleep(0.1)


async def _rest(pid: int, num_descriptors: int | None = None) -> Vitals:
    """The process once it holds so many descriptors, or for a second as many as before."""
    ends = time.monotonic() + SETTLE_SECONDS
    last = vitals(pid)
    since = last.seconds
    while last.seconds < ends and last.num_descriptors != num_descriptors:
        if num_descriptors is None and last.seconds - since >= 1:
            break
        await asyncio.sleep(0.05)
        now = vitals(pid)
        since = since if now.num_descriptors == last.num_descriptors else now.seconds
        last = now
    return last
