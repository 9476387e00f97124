"""How Kubernetes' autoscaler follows a burst, for the targets that one may set: a simulation.

    python -m tests.benchmarks.autoscaling --capacity 300

The autoscaler's rule is that of its documentation ("Horizontal Pod Autoscaling", algorithm details): every
15 s desired = ceil(replicas * metric / target) for each metric, the largest counts, changes within 10 % are
ignored, and a replica is given up only when none of the last `stabilization` seconds asked for it. Upwards at
most twice the replicas, or four more, every 15 s. A new replica is ready after `--start-seconds`. Load is a
fluid of items: what a replica cannot do at once waits, what its queue cannot hold is refused.
"""

import argparse
import dataclasses
import itertools
import math
import sys
from collections.abc import Callable, Sequence

SYNC_SECONDS = 15
TOLERANCE = 0.1
MIN_REPLICAS, MAX_REPLICAS = 1, 20
STEP_SECONDS = 0.1


@dataclasses.dataclass(frozen=True)
class Policy:
    """What the autoscaler is told.

    Attributes:
        queue_target: Items that should wait, a replica.
        busy_target: The share of its time that a replica should be busy; None where that is not asked for.
        stabilization_seconds: Before a replica is given up.
    """

    queue_target: float
    busy_target: float | None
    stabilization_seconds: float


@dataclasses.dataclass
class Outcome:
    """What came of it: shares of all items, and what it cost."""

    refused: float = 0.0
    late: float = 0.0
    replica_seconds: float = 0.0
    changes: int = 0
    peak: int = 0


@dataclasses.dataclass
class Cluster:
    """Replicas behind a perfect load balancer.

    Attributes:
        capacity: Items a second of one replica.
        queue: Items that one replica lets wait.
        start_seconds: From being asked for to being ready.
    """

    capacity: float
    queue: float
    start_seconds: float
    ready: int = MIN_REPLICAS
    waiting: float = 0.0
    busy: float = 0.0
    starting: list[float] = dataclasses.field(default_factory=list)

    @property
    def replicas(self) -> int:
        """Ready and starting."""
        return self.ready + len(self.starting)

    def step(self, now: float, arriving: float) -> float:
        """Let a moment pass; the items that were refused."""
        self.ready += sum(moment <= now for moment in self.starting)
        self.starting = [moment for moment in self.starting if moment > now]
        total = self.waiting + arriving
        done = min(total, self.ready * self.capacity * STEP_SECONDS)
        self.busy = done / (self.ready * self.capacity * STEP_SECONDS)
        self.waiting = min(total - done, self.ready * self.queue)
        return total - done - self.waiting

    def scale(self, now: float, desired: int) -> None:
        """Start or stop replicas; those that are starting are stopped first."""
        while self.replicas < desired:
            self.starting.append(now + self.start_seconds)
        while self.replicas > desired and self.starting:
            self.starting.pop()
        self.ready = min(self.ready, desired)


def simulate(
    policy: Policy, cluster: Cluster, load: Callable[[float], float], *, seconds: float, slo_seconds: float
) -> Outcome:
    """Run a load, in items a second at a moment, against a cluster that a policy scales."""
    outcome, arrived, busy_mean = Outcome(), 0.0, 0.0
    wanted: list[tuple[float, int]] = []
    for tick in range(int(seconds / STEP_SECONDS)):
        now = tick * STEP_SECONDS
        arriving = load(now) * STEP_SECONDS
        arrived += arriving
        outcome.refused += cluster.step(now, arriving)
        # A rate over a minute, as `rate(...[1m])` sees it.
        busy_mean += (cluster.busy - busy_mean) * STEP_SECONDS / 60
        if cluster.waiting > slo_seconds * cluster.ready * cluster.capacity:
            outcome.late += arriving
        outcome.replica_seconds += cluster.replicas * STEP_SECONDS
        outcome.peak = max(outcome.peak, cluster.replicas)
        if tick % int(SYNC_SECONDS / STEP_SECONDS) == 0:
            desired = _desired(policy, cluster, busy_mean)
            wanted = [(at, n) for at, n in wanted if at > now - policy.stabilization_seconds]
            wanted.append((now, desired))
            if desired < cluster.replicas:
                desired = min(cluster.replicas, max(n for _, n in wanted))
            outcome.changes += desired != cluster.replicas
            cluster.scale(now, desired)
    outcome.refused /= arrived
    outcome.late /= arrived
    return outcome


def _desired(policy: Policy, cluster: Cluster, busy: float) -> int:
    ratios = [cluster.waiting / cluster.ready / policy.queue_target]
    if policy.busy_target is not None:
        ratios.append(busy / policy.busy_target)
    current = cluster.replicas
    asked = [current if abs(ratio - 1) <= TOLERANCE else math.ceil(cluster.ready * ratio) for ratio in ratios]
    most = max(2 * current, current + 4)
    return max(MIN_REPLICAS, min(MAX_REPLICAS, most, max(asked)))


def burst(capacity: float) -> Callable[[float], float]:
    """Half a replica's capacity, then six times it for ten minutes, then half again."""
    return lambda now: 6 * capacity if 300 <= now < 900 else 0.5 * capacity


def table(capacity: float, queue: float, start_seconds: float, slo_seconds: float) -> list[str]:
    """One row a policy, in Markdown; see `main` for what is given."""
    rows = [
        "| items waiting | busy | stabilization | refused | late | replica-minutes | at most | changes |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for busy, target, stabilization in itertools.product((None, 0.7), (16, 64, 256), (0, 60, 300)):
        found = simulate(
            Policy(target, busy, stabilization),
            Cluster(capacity, queue, start_seconds),
            burst(capacity),
            seconds=1800,
            slo_seconds=slo_seconds,
        )
        rows.append(
            f"| {target} | {busy or '-'} | {stabilization} s | {found.refused:.1%} | {found.late:.1%}"
            f" | {found.replica_seconds / 60:.0f} | {found.peak} | {found.changes} |"
        )
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table of policies."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--capacity", type=float, default=300, help="items a second of one replica")
    parser.add_argument("--queue", type=float, default=512, help="items that one replica lets wait")
    parser.add_argument("--start-seconds", type=float, default=15, help="until a new replica is ready")
    parser.add_argument("--slo-seconds", type=float, default=1, help="an item that waits longer is late")
    options = parser.parse_args(arguments)
    rows = table(options.capacity, options.queue, options.start_seconds, options.slo_seconds)
    sys.stdout.write("\n".join(rows) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
