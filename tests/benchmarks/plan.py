"""How long everything is measured, and where its progress is shown."""

import dataclasses
from collections.abc import Callable

ONE, ALL, LANES = "1 thread", "all cores", "1 thread a core"


@dataclasses.dataclass(frozen=True)
class Plan:
    """One run of the benchmarks.

    Attributes:
        say: Shows what is measured now.
        device: Of the service.
        sizes: Batch sizes of the floor.
        threads: In what ways the floor uses the cores.
        floor_seconds: For each of its figures.
        load_seconds: For each run of wrk.
        clients: Numbers of connections.
        num_rounds: Of the alternation with peers.
        search_seconds: For each of a peer's settings that are tried.
        num_growth_requests: After which the memory is compared; 0 for not at all.
    """

    say: Callable[[str], None]
    device: str
    is_quick: bool
    sizes: tuple[int, ...]
    threads: tuple[str, ...]
    floor_seconds: float
    load_seconds: float
    clients: tuple[int, ...]
    num_rounds: int
    search_seconds: float
    num_growth_requests: int


def quick(say: Callable[[str], None], device: str) -> Plan:
    """A couple of minutes: enough to see a regression."""
    return Plan(say, device, True, (1, 8, 16), (ONE, LANES), 0.1, 2, (1, 32), 2, 2, 0)


def full(say: Callable[[str], None], device: str) -> Plan:
    """About 15 minutes: what the README reports."""
    sizes = (1, 2, 4, 8, 16, 24, 32)
    return Plan(say, device, False, sizes, (ONE, ALL, LANES), 0.25, 5, (1, 8, 32, 128), 3, 3, 100_000)
