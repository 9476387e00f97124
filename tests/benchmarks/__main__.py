"""Measure the service against its own floor and against others; see tests/benchmarks/README.md.

python -m tests.benchmarks --quick
python -m tests.benchmarks --only peers --json peers.json
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from tests.benchmarks import checkpoints, comparison, floor, gpu, machine, plan, report, specials, under_load

FOLDER = Path(__file__).parent / "results"
PARTS = ("floor", "service", "peers")


def main(arguments: list[str] | None = None) -> int:
    """Run the parts asked for, print the tables and write the figures."""
    options = _parser().parse_args(arguments)
    console = Console()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("starting")
        make = plan.quick if options.quick else plan.full
        results = _measure(
            options, make(lambda text: progress.update(task, description=text), options.device)
        )
    wide = console if console.is_terminal else Console(width=240)
    report.show(results, wide)
    target = options.json or FOLDER / f"{_kind(options)}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(results, indent=2) + "\n")
    console.print(f"\nwritten to {target}")
    return 0


def _measure(options: argparse.Namespace, chosen: plan.Plan) -> dict[str, Any]:
    torch.set_num_threads(machine.num_cores())
    paths = checkpoints.make(
        checkpoints.ARCHITECTURES[options.architecture], folder=FOLDER / "checkpoints", say=chosen.say
    )
    parts = options.only or PARTS
    results: dict[str, Any] = {"machine": machine.describe(), "quick": options.quick}
    results["floor"] = floor.measure(paths, chosen)
    if "service" in parts:
        results["service"] = under_load.measure(paths, results["floor"], chosen)
        decoding = floor.fastest_precision(results["floor"], checkpoints.FAST)
        results["specials"] = specials.measure(paths, decoding, chosen)
        results["gpu"] = gpu.measure(paths, chosen)
    if "peers" in parts:
        results["peers"] = comparison.measure(paths, chosen)
    return results


def _kind(options: argparse.Namespace) -> str:
    return "cuda" if torch.cuda.is_available() and options.device != "cpu" else "cpu"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="a couple of minutes instead of about 15")
    parser.add_argument("--only", action="append", choices=PARTS, help="one part; may be repeated")
    parser.add_argument("--device", default="auto", help="of the service: auto, cpu, cuda or cuda:N")
    parser.add_argument("--json", type=Path, help="where to write; results/<kind>.json where absent")
    parser.add_argument(
        "--architecture", default="article", choices=checkpoints.ARCHITECTURES, help="of the network"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
