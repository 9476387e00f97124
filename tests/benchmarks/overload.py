"""Three times as many requests as the service can answer: it goes on answering as many as it can.

python -m tests.benchmarks.overload
python -m tests.benchmarks.overload --images 16 --accept application/json --seconds 60
"""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

import torch
import uvloop
from rich import box
from rich.console import Console
from rich.status import Status
from rich.table import Table

from tests.benchmarks import checkpoints, machine
from tests.benchmarks.excess import Overload, Plan, measure
from tests.benchmarks.servers import as_shipped

FOLDER = Path(__file__).parent / "results"

MIN_GOODPUT_SHARE = 0.9
MAX_REFUSAL_SECONDS = 0.020
MAX_PROBE_SECONDS = 0.050


def show(found: Overload, console: Console) -> None:
    """Print the table, and what is wrong."""
    figures = found.figures()
    targets = {
        "goodput share": (MIN_GOODPUT_SHARE, figures["goodput share"] >= MIN_GOODPUT_SHARE),
        "refusal p99": (MAX_REFUSAL_SECONDS, figures["refusal p99"] <= MAX_REFUSAL_SECONDS),
        "livez p99": (MAX_PROBE_SECONDS, figures["livez p99"] <= MAX_PROBE_SECONDS),
    }
    plan = found.plan
    title = f"{plan.factor:g} times the capacity: /sample n={plan.num_images} as {plan.accept}"
    table = Table(title=title, title_justify="left", box=box.MARKDOWN)
    for name, justify in {"figure": "left", "value": "right", "target": "right", "met": "left"}.items():
        table.add_column(name, justify=justify, no_wrap=True)
    for name, value in figures.items():
        target, is_met = targets.get(name, (None, True))
        text = "" if target is None else _text(name, target)
        table.add_row(_label(name), _text(name, value), text, ("yes" if is_met else "NO") if text else "")
    for status, num in sorted(found.load.statuses.items()):
        table.add_row(f"answers {status}", f"{num:,}", "", "")
    console.print(table)
    faults = found.faults()
    for fault in faults:
        console.print(f"WRONG: {fault}")
    console.print("every count adds up" if not faults else f"{len(faults)} counts do not add up")


def _is_seconds(name: str) -> bool:
    return name.endswith(("p50", "p99"))


def _label(name: str) -> str:
    return f"{name}, ms" if _is_seconds(name) else name


def _text(name: str, value: float) -> str:
    if _is_seconds(name):
        return f"{1000 * value:,.1f}"
    return f"{value:.2f}" if name.endswith(("share", "cores")) else f"{value:,.1f}"


def main(arguments: list[str] | None = None) -> int:
    """Measure a server of its own; 1 where a count does not add up."""
    options = _parser().parse_args(arguments)
    console = Console()
    path = options.checkpoint
    if path is None:
        torch.set_num_threads(machine.num_cores())
        with Status("starting", console=Console(stderr=True)) as status:
            path = checkpoints.article(folder=FOLDER / "checkpoints", say=status.update)
    plan = Plan(options.images, options.accept, options.factor, options.seconds, options.capacity_seconds)
    with as_shipped(path) as server:
        found = uvloop.run(measure(server.url, plan, core_seconds=server.core_seconds))
    show(found, console)
    _write(found, options.json or FOLDER / "overload.json")
    return 1 if found.faults() else 0


def _write(found: Overload, target: Path) -> None:
    content = {
        "machine": machine.describe(),
        "plan": dataclasses.asdict(found.plan),
        "figures": found.figures(),
        "statuses": found.load.statuses,
        "faults": found.faults(),
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(content, indent=2) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.overload",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    plan = Plan()
    parser.add_argument("--images", type=int, default=plan.num_images, help="n of each request")
    parser.add_argument("--accept", default=plan.accept, help="the form of the answers")
    parser.add_argument("--factor", type=float, default=plan.factor, help="times the capacity")
    parser.add_argument("--seconds", type=float, default=plan.seconds, help="of overload")
    parser.add_argument(
        "--capacity-seconds", type=float, default=plan.capacity_seconds, help="to measure the capacity in"
    )
    parser.add_argument("--checkpoint", type=Path, help="to serve; the article's network where absent")
    parser.add_argument("--json", type=Path, help="where to write; results/overload.json where absent")
    return parser


if __name__ == "__main__":
    sys.exit(main())
