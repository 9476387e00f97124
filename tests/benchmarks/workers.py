"""What several workers on one port bring on this machine, against one, in turns.

python -m tests.benchmarks.workers
python -m tests.benchmarks.workers --workers 1 2 4 8 --seconds 10 --rounds 5
"""

import argparse
import json
import statistics
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.status import Status
from rich.table import Table

from tests.benchmarks import checkpoints, machine
from tests.benchmarks.balancer import FOLDER, Entrance, chosen, p50, rate, wide
from tests.benchmarks.servers import Server, service


def main(arguments: list[str] | None = None) -> int:
    """Print the table and write the figures."""
    options = _parser().parse_args(arguments)
    console = Console()
    with Status("starting", console=Console(stderr=True)) as status:
        path = checkpoints.article(folder=FOLDER / "checkpoints", say=status.update)
        rows = measure(path, options, status)
    wide(console).print(table(rows, options.workers))
    target = options.json or FOLDER / "workers.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps({"machine": machine.describe(), "workers": rows}, indent=2) + "\n")
    return 0


def measure(checkpoint: Path, options: argparse.Namespace, status: Status) -> list[dict[str, Any]]:
    """Throughput of many clients and latency of one, for each number of workers; medians of the rounds."""
    rows = []
    with ExitStack() as stack:
        servers = {
            num: stack.enter_context(service(checkpoint, environment={"VAE_WORKERS": str(num)}))
            for num in options.workers
        }
        for workload in chosen():
            found: dict[int, list[tuple[float, float]]] = {num: [] for num in servers}
            for _ in range(options.rounds):
                for num, server in servers.items():
                    status.update(f"{workload.name}, {num} workers")
                    _give_the_cores_to(server, servers.values())
                    entrance = Entrance(server.url, [server])
                    many = rate(entrance, workload, options.seconds)
                    found[num].append((many, 1000 * p50(entrance, workload, options.seconds)))
            for num, measured in found.items():
                throughput, latency = (statistics.median(column) for column in zip(*measured, strict=True))
                row = {"requests_per_second": throughput, "p50_milliseconds": latency}
                rows.append({"workload": workload.name, "workers": num, **row})
        _give_the_cores_to(None, servers.values())
    return rows


def table(rows: list[dict[str, Any]], numbers: list[int]) -> Table:
    """Requests a second, as shares of the first column, and latencies."""
    made = Table(title="Workers on one port", title_justify="left", box=box.MARKDOWN)
    columns = [f"{num} workers, requests/s" for num in numbers] + [
        f"{num}, p50 of one, ms" for num in numbers
    ]
    for name in ("workload", *columns):
        made.add_column(name, justify="left" if name == "workload" else "right", no_wrap=True)
    for workload in chosen():
        own = {row["workers"]: row for row in rows if row["workload"] == workload.name}
        made.add_row(
            workload.name,
            *(f"{own[num]['requests_per_second']:,.0f}" for num in numbers),
            *(f"{own[num]['p50_milliseconds']:.2f}" for num in numbers),
        )
    return made


def _give_the_cores_to(chosen_one: Server | None, servers: Iterable[Server]) -> None:
    """Let one server run alone, or all of them where none is named."""
    for server in servers:
        if chosen_one is None or server is chosen_one:
            server.resume()
        else:
            server.pause()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.workers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="of each run")
    parser.add_argument("--rounds", type=int, default=3, help="of which the median counts")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="numbers to try")
    parser.add_argument("--json", type=Path, help="where to write; results/workers.json where absent")
    return parser


if __name__ == "__main__":
    sys.exit(main())
