"""What HAProxy costs before one replica, and what more replicas bring behind it on this machine.

python -m tests.benchmarks.balancer
python -m tests.benchmarks.balancer --seconds 10 --rounds 5 --replicas 1 2 4 8
"""

import argparse
import dataclasses
import json
import statistics
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rich import box
from rich.console import Console
from rich.status import Status
from rich.table import Table

from tests.balancers import before
from tests.benchmarks import checkpoints, load, machine
from tests.benchmarks.servers import Server, service
from tests.benchmarks.workloads import Workload, workloads

FOLDER = Path(__file__).parent / "results"
CLIENTS = 32
MIN_SHARE, MAX_ADDED_MILLISECONDS = 0.95, 0.5


@dataclasses.dataclass(frozen=True)
class Entrance:
    """Some replicas, as clients reach them: what a load generator asks of a server.

    Attributes:
        url: Where requests go.
        replicas: Behind it.
    """

    url: str
    replicas: list[Server]

    def core_seconds(self) -> float:
        """Of all replicas."""
        return sum(replica.core_seconds() for replica in self.replicas)

    def rss_bytes(self) -> int:
        """Of all replicas."""
        return sum(replica.rss_bytes() for replica in self.replicas)


def main(arguments: list[str] | None = None) -> int:
    """Print the tables and write the figures; 1 where HAProxy costs more than it may."""
    options = _parser().parse_args(arguments)
    console = Console()
    with Status("starting", console=Console(stderr=True)) as status:
        path = checkpoints.article(folder=FOLDER / "checkpoints", say=status.update)
        added = measure_added(path, options, status)
        scaled = measure_replicas(path, options, status)
    wide(console).print(added_table(added), scaled_table(scaled))
    results = {"machine": machine.describe(), "added": added, "replicas": scaled}
    target = options.json or FOLDER / "balancer.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(results, indent=2) + "\n")
    is_cheap = all(
        row["share"] >= MIN_SHARE and row["added_milliseconds"] < MAX_ADDED_MILLISECONDS for row in added
    )
    return 0 if is_cheap else 1


def measure_added(checkpoint: Path, options: argparse.Namespace, status: Status) -> list[dict[str, Any]]:
    """One replica directly and through HAProxy in turns; medians of the rounds."""
    rows = []
    with service(checkpoint) as replica, before([urlsplit(replica.url).netloc], "haproxy") as balancer:
        direct, through = (Entrance(url, [replica]) for url in (replica.url, balancer.url))
        for workload in chosen():
            status.update(f"{workload.name}, directly and through HAProxy")
            shares, added = [], []
            for _ in range(options.rounds):
                many = [rate(entrance, workload, options.seconds) for entrance in (direct, through)]
                alone = [p50(entrance, workload, options.seconds) for entrance in (direct, through)]
                shares.append(many[1] / many[0])
                added.append(1000 * (alone[1] - alone[0]))
            middle = {
                "share": statistics.median(shares),
                "added_milliseconds": statistics.median(added),
            }
            rows.append({"workload": workload.name, **middle, "shares": shares, "added": added})
    return rows


def measure_replicas(checkpoint: Path, options: argparse.Namespace, status: Status) -> list[dict[str, Any]]:
    """Requests a second behind HAProxy with ever more replicas, the cores divided among them."""
    rows: list[dict[str, Any]] = []
    for num in options.replicas:
        threads = str(max(1, machine.num_cores() // num))
        environment = {"VAE_DEVICE_THREADS": threads, "VAE_CODEC_THREADS": threads}
        with ExitStack() as stack:
            status.update(f"{num} replicas")
            replicas = [stack.enter_context(service(checkpoint, environment=environment)) for _ in range(num)]
            addresses = [urlsplit(replica.url).netloc for replica in replicas]
            entrance = Entrance(stack.enter_context(before(addresses, "haproxy")).url, replicas)
            for workload in chosen():
                found = statistics.median(
                    rate(entrance, workload, options.seconds) for _ in range(options.rounds)
                )
                rows.append({"replicas": num, "workload": workload.name, "requests_per_second": found})
    return rows


def wide(console: Console) -> Console:
    """Where a table is printed: not cut to 80 columns in a file."""
    return console if console.is_terminal else Console(width=160)


def chosen() -> list[Workload]:
    """Without the ZIP, which costs a balancer what JSON does."""
    return [workload for workload in workloads() if "zip" not in workload.accept]


def rate(entrance: Entrance, workload: Workload, seconds: float) -> float:
    """Requests a second of many clients."""
    seen = load.run(entrance, workload, clients=CLIENTS, seconds=seconds)  # type: ignore[arg-type]
    assert not seen.num_errors
    return seen.requests_per_second


def p50(entrance: Entrance, workload: Workload, seconds: float) -> float:
    """Latency of one client alone, in seconds."""
    return load.run(entrance, workload, clients=1, seconds=seconds).p50_seconds  # type: ignore[arg-type]


def added_table(rows: list[dict[str, Any]]) -> Table:
    """What HAProxy costs."""
    table = Table(title="One replica through HAProxy, and directly", title_justify="left", box=box.MARKDOWN)
    for name in ("workload", f"throughput, {CLIENTS} clients", "least", "most", "added p50, one client, ms"):
        table.add_column(name, justify="left" if name == "workload" else "right", no_wrap=True)
    for row in rows:
        shares = (row["share"], min(row["shares"]), max(row["shares"]))
        table.add_row(row["workload"], *(f"{one:.2f}" for one in shares), f"{row['added_milliseconds']:.2f}")
    return table


def scaled_table(rows: list[dict[str, Any]]) -> Table:
    """What replicas bring."""
    table = Table(title="Requests a second behind HAProxy", title_justify="left", box=box.MARKDOWN)
    numbers = sorted({row["replicas"] for row in rows})
    for name in ("workload", *(f"{num} replicas" for num in numbers)):
        table.add_column(name, justify="left" if name == "workload" else "right", no_wrap=True)
    for workload in chosen():
        found = {
            row["replicas"]: row["requests_per_second"] for row in rows if row["workload"] == workload.name
        }
        table.add_row(workload.name, *(f"{found[num]:,.0f}" for num in numbers))
    return table


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.balancer",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="of each run")
    parser.add_argument("--rounds", type=int, default=3, help="of which the median counts")
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 2, 4], help="how many to try")
    parser.add_argument("--json", type=Path, help="where to write; results/balancer.json where absent")
    return parser


if __name__ == "__main__":
    sys.exit(main())
