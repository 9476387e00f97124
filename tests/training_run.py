"""A tiny run of `python -m training` in a process of its own, to be stopped, starved or asked."""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import torch

from tests.live_server import ROOT

TIMEOUT_SECONDS = 300
POLL_SECONDS = 0.02
# An epoch of 16 steps on 64 images of 16x16 pixels, with all that a resumed run has to take up again.
TINY = {
    "data.image_shape": "[3,16,16]",
    "data.limit": "64",
    "data.flip": "true",
    "data.noise": "0.1",
    "model.architecture": "vanilla",
    "model.hidden_channels": "[4,8]",
    "model.latent_dim": "3",
    "optimizer.batch_size": "4",
    "optimizer.ema_decay": "0.9",
    "optimizer.schedule": "cosine",
    "prior.components": "0",
    "machine.device": "cpu",
}
LIMITED = """\
import resource, runpy, sys
limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
runpy.run_module("training", run_name="__main__", alter_sys=True)
"""


def tiny_flags(runs: Path, **changes: str) -> list[str]:
    """Flags of `train` for a tiny run of sprites; of a dotted key the dots are two underscores."""
    keys = {**TINY, **{key.replace("__", "."): value for key, value in changes.items()}}
    settings = [f"--set={key}={value}" for key, value in keys.items()]
    return ["train", "--preset", "sprites", "--runs", str(runs), *settings]


def last(root: Path) -> dict[str, Any]:
    """A run's last checkpoint."""
    state: dict[str, Any] = torch.load(root / "checkpoints/last.ckpt", weights_only=True)
    return state


def assert_same_network(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Two checkpoints are of the same step and have the same weights, bit by bit."""
    assert one["global_step"] == other["global_step"]
    for name, weight in one["state_dict"].items():
        torch.testing.assert_close(weight, other["state_dict"][name], rtol=0, atol=0, msg=name)


class TrainingProcess:
    """A process; a context manager that leaves none behind.

    Args:
        arguments: Of `python -m training`.
        max_file_bytes: What the process may write into one file, as if the disk were full then.
        launcher: Flags of the interpreter that come before `-m training`, such as those of torchrun.
        module: In place of `training`.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        max_file_bytes: int | None = None,
        launcher: Sequence[str] = (),
        module: str = "training",
    ) -> None:
        limited = ["-c", LIMITED, str(max_file_bytes)]
        program = limited if max_file_bytes else [*launcher, "-m", module]
        self._command = [sys.executable, *program, *arguments]

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            self._command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def children(self) -> list[int]:
        """Process ids of what it has started, as Linux tells them."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Return once it holds; fail where the process ends before it does."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not condition():
            assert self.process.poll() is None, self.process.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(POLL_SECONDS)

    def ended(self) -> tuple[int, str]:
        """Exit status, and all that was said."""
        said, _ = self.process.communicate(timeout=TIMEOUT_SECONDS)
        return self.process.returncode, said
