"""Networks side by side, exported, loaded and placed as the service does it: CPU time of one core an image.

    .venv/bin/python -m tests.benchmarks.networks vanilla:32,64,128,256,512 residual:64,96,192

Weights are random, since they do not change the speed. Networks take turns, and the shortest time of a turn
counts: other work on the machine makes a call longer, never shorter. Ratios are to the first network.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from rich.console import Console

from service import checkpoint
from service.vae.precision import native_precisions
from tests import tiny_vae
from tests.benchmarks.bare import BareModule
from training.export.module import build_module
from training.models import MODELS

IMAGE_SHAPE, LATENT_DIM = (3, 64, 64), 128
SIZES = (1, 16, 64)
TURN_SECONDS = 0.005


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the networks that are named and print one line each for a batch size and a precision."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.networks", description=__doc__)
    parser.add_argument("networks", nargs="+", metavar="ARCHITECTURE:CHANNELS,CHANNELS,...")
    parser.add_argument("--rounds", type=int, default=40, help="turns of each network")
    options = parser.parse_args(arguments)
    names, console = options.networks, Console(highlight=False, soft_wrap=True)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        loaded = {name: _exported(name, Path(folder) / "model.pt") for name in names}
    for precision in native_precisions(torch.device("cpu")):
        placed = {name: BareModule(item, torch.device("cpu"), precision) for name, item in loaded.items()}
        for size in SIZES:
            z, images = torch.randn(size, LATENT_DIM), torch.randint(256, (size, *IMAGE_SHAPE)).byte()
            decoding = _seconds(
                {name: partial(module.decode, z) for name, module in placed.items()}, options.rounds
            )
            encoding = _seconds(
                {name: partial(module.encode, images) for name, module in placed.items()}, options.rounds
            )
            for name in names:
                columns = (
                    f"{1e6 * times[name] / size:7.1f} us {times[names[0]] / times[name]:5.2f}x"
                    for times in (decoding, encoding)
                )
                console.print(
                    f"{precision:9} batch {size:2} decode {next(columns)}  encode {next(columns)}  {name}"
                )
    return 0


def _exported(name: str, path: Path) -> checkpoint.Checkpoint:
    architecture, _, channels = name.partition(":")
    hidden_channels = [int(number) for number in channels.split(",")]
    model = MODELS[architecture](IMAGE_SHAPE, latent_dim=LATENT_DIM, hidden_channels=hidden_channels)
    tiny_vae.save(path, module=build_module(model), image_shape=IMAGE_SHAPE, latent_dim=LATENT_DIM)
    return checkpoint.load(path)


def _seconds(calls: Mapping[str, Callable[[], object]], num_rounds: int) -> dict[str, float]:
    """The shortest CPU time of each call."""
    shortest = dict.fromkeys(calls, float("inf"))
    with torch.inference_mode():
        for _ in range(num_rounds):
            for name, call in calls.items():
                call()  # its weights and code are in the caches
                started, num = time.thread_time(), 0
                while time.thread_time() - started < TURN_SECONDS:
                    call()
                    num += 1
                shortest[name] = min(shortest[name], (time.thread_time() - started) / num)
    return shortest


if __name__ == "__main__":
    raise SystemExit(main())
