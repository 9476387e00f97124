"""The command `python -m training evaluate`: its flags, and what it prints."""

import argparse
import os
import time
from pathlib import Path

import torch
from rich.console import Console

from training.errors import EvaluationError
from training.evaluate import evaluate, keep
from training.evaluate.measurement import Measurement, Settings
from training.evaluate.table import figures_table

EXAMPLES = """\
examples:
  python -m training evaluate runs/mnist                            the model.pt of a run, on its test split
  python -m training evaluate service/pretrained/fashion-mnist.pt --data DIR --no-write
  python -m training evaluate model.pt --data DIR --importance-samples 1000 --limit 1000
  python -m training evaluate runs/mnist/checkpoints/last.ckpt --importance-samples 0

The figures go into the checkpoint's own metadata, which GET /models shows, and into a JSON file beside it.
Ctrl-C keeps what the importance-weighted bound has so far; the same command goes on from there.
"""


LARGEST_SEED = 2**31 - 1  # an image's noise is drawn by seed * 2**32 and its number, in 64 bits


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser its flags."""
    add = parser.add_argument
    add("checkpoint", metavar="CHECKPOINT", type=Path, help="an exported .pt, a run folder or a .ckpt file")
    add("--data", metavar="DIR", type=Path, help="folder of the data set, if it is not where the run had it")
    add("--split", choices=("test", "validation"), help="default: test where the data set has it")
    add(
        "--limit",
        metavar="N",
        help="measure N images: the first of a test split, or N from all over the others",
    )
    add(
        "--importance-samples",
        metavar="S",
        default="5000",
        help="latents an image for the importance-weighted bound; 0 leaves it out (default: 5000)",
    )
    add("--seed", metavar="N", default="0", help="of all that is drawn (default: 0)")
    add("--device", metavar="NAME", help="cpu, cuda or cuda:N (default: cuda where there is one)")
    add(
        "--cache",
        metavar="DIR",
        type=Path,
        default=Path.home() / ".cache" / "vae-training",
        help="folder of the classifiers trained for the Frechet distance (default: ~/.cache/vae-training)",
    )
    add(
        "--output",
        metavar="FILE",
        type=Path,
        help="JSON of the results (default: CHECKPOINT.evaluation.json)",
    )
    add("--no-write", action="store_true", help="leave the checkpoint's metadata as they are")
    add("--debug", action="store_true", help="show the traceback of an error")
    parser.set_defaults(command=_evaluate)


def _evaluate(options: argparse.Namespace) -> None:
    settings = Settings(
        num_importance_samples=_whole(options.importance_samples, "--importance-samples", smallest=0),
        seed=_whole(options.seed, "--seed", smallest=0, largest=LARGEST_SEED),
        cache=options.cache,
        device=_device(options.device),
    )
    limit = None if options.limit is None else _whole(options.limit, "--limit", smallest=2)
    if options.output is not None:
        _check_writable(options.output.absolute().parent)
    started = time.monotonic()
    measurement = evaluate(
        options.checkpoint, settings=settings, root=options.data, split=options.split, limit=limit
    )
    output = options.output or measurement.subject.path.with_suffix(".evaluation.json")
    keep(
        measurement,
        output=output,
        seconds=time.monotonic() - started,
        is_written=not options.no_write,
    )
    _show(measurement, output=output, is_written=not options.no_write)


def _show(measurement: Measurement, *, output: Path, is_written: bool) -> None:
    console = Console()
    console.print(figures_table(measurement))
    for name, reason in measurement.figures.skipped.items():
        console.print(f"{name}: not measured, {reason}", markup=False, highlight=False, soft_wrap=True)
    written = is_written and measurement.subject.metadata is not None
    where = f"{output} and in the metadata of {measurement.subject.path}" if written else str(output)
    console.print(f"kept in {where}", markup=False, highlight=False, soft_wrap=True)


def _whole(text: str, flag: str, *, smallest: int, largest: int | None = None) -> int:
    try:
        number = int(text)
    except ValueError:
        number = smallest - 1
    if number < smallest or (largest is not None and number > largest):
        limits = f"of {smallest} or more" if largest is None else f"from {smallest} to {largest}"
        raise EvaluationError(f"{flag} takes a whole number {limits}, not {text!r}")
    return number


def _device(name: str | None) -> torch.device:
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):
        raise EvaluationError(f"this machine has no device {name!r}: --device cpu is always there") from None
    return device


def _check_writable(folder: Path) -> None:
    if not folder.is_dir():
        raise EvaluationError(f"the folder {folder} of --output does not exist")
    if not os.access(folder, os.W_OK):
        raise EvaluationError(f"the folder {folder} of --output cannot be written to")
