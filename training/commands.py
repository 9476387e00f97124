"""Commands: train, export, evaluate, report."""

import argparse
import logging
import sys
import textwrap
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from service.command_line import Parser, help_of
from training.config import Config, build_config, config_keys, load_preset, preset_names
from training.data import load_splits
from training.errors import ConfigError, RunStopped, TrainingError
from training.evaluate import command as evaluation
from training.export import export_checkpoint, stored_config
from training.report import command as reporting
from training.run_folder import RunFolder
from training.train import train
from training.train.resuming import may_change

FLAGS = {
    "data": "data.root",
    "name": "name",
    "epochs": "optimizer.epochs",
    "batch_size": "optimizer.batch_size",
    "lr": "optimizer.learning_rate",
    "latent": "model.latent_dim",
    "seed": "seed",
    "limit": "data.limit",
    "device": "machine.device",
    "devices": "machine.devices",
    "workers": "machine.workers",
}

EXAMPLES = """\
examples:
  python -m training train --data ~/pictures           a run in runs/folder, exported as runs/folder/model.pt
  python -m training evaluate runs/folder              what it is worth, into its metadata
  python -m training report runs/folder                one page of pictures and curves
  python -m training COMMAND --help                    flags and more examples

exit status: 0 done; 1 what was asked for cannot be done, and one line says why; 2 no such command or flag;
130 Ctrl-C; 143 stopped by SIGTERM, its state saved
"""

TRAIN_EXAMPLES = """\
examples:
  python -m training train                                          coloured sprites, no download, CPU
  python -m training train --data ~/pictures                        any folder of images
  python -m training train --preset fashion-mnist --data DIR        DIR/FashionMNIST/raw/*.gz
  python -m training train --preset celeba-vanilla --data DIR       Kaggle's or torchvision's CelebA layout
  python -m training train --preset folder --data DIR --epochs 5 --latent 32 --set data.image_shape=[3,96,128]
  python -m training train --resume runs/sprites --epochs 12        go on with an earlier or stopped run
  torchrun --nnodes 2 --node-rank 0 --nproc-per-node gpu --master-addr HOST --master-port 29500 \\
      -m training train --data DIR                                  the first of two machines; 1 on the other

keys of --set:
"""

EXPORT_EXAMPLES = """\
examples:
  python -m training export runs/sprites                            the best checkpoint of a run
  python -m training export runs/sprites/checkpoints/last.ckpt --to sprites.pt
  python -m training export run.ckpt --to model.pt --data DIR       where the images have moved

The exported module is compared with the trained network on real images, so the data must still be there.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 if it succeeded, 1 after an error said in one line, 128 + N after signal N."""
    options = _parser().parse_args(arguments)
    handler = logging.StreamHandler()
    handler.setFormatter(_PlainLines())
    logging.getLogger("training").addHandler(handler)
    logging.getLogger("training").setLevel(logging.INFO)
    try:
        options.command(options)
    except RunStopped as stop:
        print(stop, file=sys.stderr)
        return 128 + stop.signal_number
    except TrainingError as error:
        if options.debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    finally:
        logging.getLogger("training").removeHandler(handler)
    return 0


def _train(options: argparse.Namespace) -> None:
    config, runs = _config_and_runs(options)
    is_begun = options.go_on and RunFolder(runs / config.name).last.exists()
    exported = train(config, runs=runs, resume=options.resume is not None or is_begun)
    if exported is not None:
        _say_how_to_serve(exported)


def _export(options: argparse.Namespace) -> None:
    checkpoint = options.checkpoint
    target = options.to or checkpoint.parent / f"{checkpoint.stem}.pt"
    if checkpoint.is_dir():
        folder = RunFolder(checkpoint)
        checkpoint, target = folder.best(), options.to or folder.exported
    config = stored_config(checkpoint)
    if options.data is not None:
        config = build_config(config.model_dump(), changes={"data.root": options.data})
    _say_how_to_serve(export_checkpoint(checkpoint, target=target, splits=load_splits(config)))


def _say_how_to_serve(exported: Path) -> None:
    print(f"\nserve it:\n  VAE_CHECKPOINT={exported} make serve")


def _config_and_runs(options: argparse.Namespace) -> tuple[Config, Path]:
    """The run that the flags describe, and the folder of runs that it belongs to."""
    changes = _changes(options)
    if options.resume is None:
        return load_preset(_preset(options), changes=changes), options.runs
    root = Path(options.resume) if options.resume else options.runs / (options.name or _preset(options))
    fixed = [key for key in changes if not may_change(key)]
    if fixed:
        raise ConfigError(f"{fixed[0]} cannot be changed in a resumed run; start a new one without --resume")
    values = {**RunFolder(root).stored_config(), "name": root.name}
    return build_config(values, changes=changes), root.parent


def _preset(options: argparse.Namespace) -> str:
    preset: str = options.preset or ("sprites" if options.data is None else "folder")
    return preset


def _changes(options: argparse.Namespace) -> dict[str, Any]:
    """Dotted keys that the flags change; --set wins over the short ones."""
    changes = {
        key: getattr(options, flag) for flag, key in FLAGS.items() if getattr(options, flag) is not None
    }
    if options.resume is not None:
        changes.pop("name", None)
    for assignment in options.set:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise ConfigError(f"--set takes key=value, not {assignment!r}")
        changes[key] = value
    return changes


class _PlainLines(logging.Formatter):
    """The message alone; a warning says that it is one."""

    def format(self, record: logging.LogRecord) -> str:
        prefix = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        return prefix + record.getMessage()


def _parser() -> Parser:
    parser = Parser(
        prog="python -m training",
        description="Train a variational autoencoder, measure it, look at it, and export it for the service.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    _add_train(commands.add_parser("train", **help_of("train a network, then export it", _train_examples())))
    _add_export(
        commands.add_parser("export", **help_of("write a run's checkpoint for the service", EXPORT_EXAMPLES))
    )
    evaluation.add_arguments(
        commands.add_parser("evaluate", **help_of("measure what a checkpoint is worth", evaluation.EXAMPLES))
    )
    reporting.add_arguments(
        commands.add_parser(
            "report", **help_of("show a checkpoint in pictures, on one page", reporting.EXAMPLES)
        )
    )
    return parser


def _train_examples() -> str:
    keys = textwrap.fill(", ".join(config_keys()), 100, initial_indent="  ", subsequent_indent="  ")
    return TRAIN_EXAMPLES + keys


def _add_train(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--preset",
        metavar="NAME",
        help=f"one of {', '.join(preset_names())} (default: sprites; with --data, folder)",
    )
    add("--data", metavar="DIR", help="folder of the data set")
    add("--epochs", metavar="N", help="passes over the training images")
    add("--batch-size", metavar="N", help="images a step")
    add("--latent", metavar="D", help="size of the latent space")
    add("--lr", metavar="RATE", help="learning rate of the first epoch")
    add("--seed", metavar="N", help="of weights, noise, order and splits")
    add("--limit", metavar="N", help="use only so many training images")
    add("--device", metavar="NAME", help="auto, cpu, cuda or mps (default: auto)")
    add("--devices", metavar="N", help="number of devices, trained on in step (default: 1)")
    add(
        "--workers",
        metavar="N",
        help="threads that gather batches of images too many for the device (default: 2)",
    )
    add("--set", metavar="KEY=VALUE", action="append", default=[], help="change any other key; see below")
    add("--name", metavar="NAME", help="of the run folder and the checkpoint (default: the preset's)")
    add("--runs", metavar="DIR", type=Path, default=Path("runs"), help="folder of all runs (default: runs)")
    begun = parser.add_mutually_exclusive_group()
    begun.add_argument(
        "--resume", metavar="RUN", nargs="?", const="", help="go on from last.ckpt of this run folder"
    )
    begun.add_argument(
        "--continue",
        dest="go_on",
        action="store_true",
        help="go on with the run of this name where there is one, else start it: for schedulers, which start "
        "the same command again",
    )
    add("--debug", action="store_true", help="show the traceback of an error")
    parser.set_defaults(command=_train)


def _add_export(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "checkpoint",
        metavar="RUN_OR_CKPT",
        type=Path,
        help="a run folder (its best checkpoint) or a .ckpt file",
    )
    add(
        "--to",
        metavar="FILE",
        type=Path,
        help="where to write (default: the run's model.pt, or beside the .ckpt)",
    )
    add("--data", metavar="DIR", help="folder of the data set, if it is not where it was")
    add("--debug", action="store_true", help="show the traceback of an error")
    parser.set_defaults(command=_export)


def leave_to_the_main_thread(arguments: threading.ExceptHookArgs) -> None:
    """What a thread does with its errors: TensorBoard's raises a full disk again where a figure is logged."""
    if not isinstance(arguments.exc_value, OSError):
        threading.__excepthook__(arguments)
