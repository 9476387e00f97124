"""`python -m training report`: its arguments, and what is printed."""

import argparse
from pathlib import Path

from rich.console import Console

from training.report import write_report

EXAMPLES = """\
examples:
  python -m training report runs/sprites                            writes runs/sprites/report.html
  python -m training report runs/fashion-mnist --data DIR           where the images have moved
  python -m training report model.pt --data DIR --output FOLDER     a checkpoint without its run: no curves
  python -m training report runs/celeba --attribute Smiling         latents coloured by a CelebA attribute

The page holds all its pictures, fetches nothing and runs no script: open it from disk, or send it.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command, and the function that runs it, to its parser."""
    add = parser.add_argument
    add(
        "source", metavar="RUN_OR_PT", type=Path, help="a run folder (its model.pt) or an exported checkpoint"
    )
    add("--data", metavar="DIR", type=Path, help="folder of the data set, if it is not where it was")
    add(
        "--output",
        metavar="FOLDER",
        type=Path,
        help="where to write report.html and report/ (default: the run folder, or one beside the checkpoint)",
    )
    add("--attribute", metavar="NAME", help="CelebA's attribute that colours the latents, such as Smiling")
    add("--debug", action="store_true", help="show the traceback of an error")
    parser.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> None:
    html = write_report(options.source, data=options.data, output=options.output, attribute=options.attribute)
    console = Console(highlight=False, soft_wrap=True, markup=False)
    console.print(f"report: {html} ({html.stat().st_size / 1e6:.1f} MB)")
    console.print(f"its pictures as PNG files: {html.parent / 'report'}")
