"""Everything that clients do, right and wrong, for minutes: does the service hold more and more?

python -m tests.benchmarks.soak --minutes 10
"""

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import httpx
import uvloop
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from service.settings import SHIPPED_CHECKPOINT
from tests.benchmarks import machine
from tests.benchmarks.endurance import Endurance, endure
from tests.benchmarks.mixture import Kind, every_kind
from tests.benchmarks.servers import as_shipped

FOLDER = Path(__file__).parent / "results"
KEY = "soak"

MAX_GROWTH_MEGABYTES_A_MINUTE = 1.0
# What caches, pools and the allocator take once is taken within the first fifth, and at most two minutes.
WARM_UP_SHARE, MAX_WARM_UP_SECONDS = 0.2, 120.0


def main(arguments: list[str] | None = None) -> int:
    """Load a server of its own; 1 where it grows, or a count does not add up."""
    options = _parser().parse_args(arguments)
    console = Console()
    seconds = 60 * options.minutes
    columns = (TextColumn("soaking"), BarColumn(), TimeRemainingColumn())
    with (
        as_shipped(options.checkpoint, environment={"VAE_API_KEYS": KEY}) as server,
        Progress(*columns, console=Console(stderr=True)) as progress,
    ):
        task = progress.add_task("", total=seconds)
        found = uvloop.run(
            endure(
                server.url,
                server.pid,
                kinds_for(server.url, KEY),
                requests_per_second=options.rate,
                seconds=seconds,
                warm_up_seconds=min(MAX_WARM_UP_SECONDS, WARM_UP_SHARE * seconds),
                say=lambda passed: progress.update(task, completed=passed),
            )
        )
    show(found, console)
    _write(found, options.json or FOLDER / "soak.json")
    return 0 if not found.faults() and found.growth <= MAX_GROWTH_MEGABYTES_A_MINUTE else 1


def kinds_for(url: str, key: str) -> list[Kind]:
    """Every kind of request, for the model that a server serves."""
    answer = httpx.get(f"{url}/models", headers={"Authorization": f"Bearer {key}"}).raise_for_status()
    (model,) = answer.json()["data"]
    return every_kind(model=model["name"], latent_dim=model["latent_dim"], key=key)


def figures(found: Endurance) -> dict[str, float]:
    """What the table shows."""
    first, last = found.warm[0], found.warm[-1]
    descriptors = [one.num_descriptors for one in found.warm]
    threads = [one.num_threads for one in found.warm]
    return {
        "minutes after warming up": (last.seconds - first.seconds) / 60,
        "requests": found.num_sent,
        "RSS when warm, MB": first.rss_bytes / 1e6,
        "RSS at the end, MB": last.rss_bytes / 1e6,
        "growth of RSS, MB a minute": found.growth,
        "descriptors at rest, before": found.rests[0].num_descriptors,
        "descriptors at rest, after": found.rests[1].num_descriptors,
        "most descriptors": max(descriptors),
        "fewest threads": min(threads),
        "most threads": max(threads),
    }


def show(found: Endurance, console: Console) -> None:
    """Print the table, and what is wrong."""
    shown = figures(found)
    targets = {
        "growth of RSS, MB a minute": f"at most {MAX_GROWTH_MEGABYTES_A_MINUTE:g}",
        "descriptors at rest, after": f"{shown['descriptors at rest, before']:g}",
        "most threads": f"{shown['fewest threads']:g}",
    }
    table = Table(title="Soak", title_justify="left", box=box.MARKDOWN)
    for name, justify in {"figure": "left", "value": "right", "target": "right"}.items():
        table.add_column(name, justify=justify, no_wrap=True)
    for name, value in shown.items():
        table.add_row(name, f"{value:,.2f}" if value % 1 else f"{value:,.0f}", targets.get(name, ""))
    console.print(table)
    for fault in found.faults():
        console.print(f"WRONG: {fault}")
    if not found.faults():
        console.print("every answer was one that its request may get, and every count adds up")


def _write(found: Endurance, target: Path) -> None:
    content: dict[str, Any] = {
        "machine": machine.describe(),
        "figures": figures(found),
        "faults": found.faults(),
        "vitals": [dataclasses.asdict(one) for one in found.warm],
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(content, indent=2) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.soak",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="in all, the warming up among them")
    parser.add_argument("--rate", type=float, default=40.0, help="requests a second")
    parser.add_argument("--checkpoint", type=Path, default=SHIPPED_CHECKPOINT, help="to serve")
    parser.add_argument("--json", type=Path, help="where to write; results/soak.json where absent")
    return parser


if __name__ == "__main__":
    sys.exit(main())
