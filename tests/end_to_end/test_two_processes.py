"""Two processes on one machine, with gloo on the CPU: they see the data once and do what one would do."""

import json
import os
import signal
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from service import checkpoint
from service.command_line import python
from tests.recorded_training import checksum
from tests.training_run import TrainingProcess, last, tiny_flags
from training.config import build_config
from training.data import load_splits
from training.run_folder import RunFolder

pytestmark = pytest.mark.slow

TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
# What one and two processes do alike: without noise of their own, BatchNorm of each one's images, and the
# sigma that is best for them.
ALIKE = {
    "loss__objective": "autoencoder",
    "loss__scale": "0.3",
    "model__architecture": "mlp",
    "model__hidden_channels": "[16]",
    "data__flip": "false",
    "data__noise": "0",
    "optimizer__epochs": "2",
}
NUM_IMAGES = 64


class Run(NamedTuple):
    root: Path
    said: str


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two epochs of two processes with batches of 8."""
    runs = tmp_path_factory.mktemp("two")
    flags = tiny_flags(runs, optimizer__batch_size="8", **ALIKE)
    with TrainingProcess([str(runs), *flags], launcher=TORCHRUN, module="tests.recorded_training") as run:
        status, said = run.ended()
    assert status == 0, said
    return Run(runs / "sprites", said)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two epochs of one process with batches of 16."""
    runs = tmp_path_factory.mktemp("one")
    with TrainingProcess(tiny_flags(runs, optimizer__batch_size="16", **ALIKE)) as run:
        status, said = run.ended()
    assert status == 0, said
    return Run(runs / "sprites", said)


def test_each_training_image_is_seen_once_an_epoch_over_both_processes(two: Run) -> None:
    config = build_config(RunFolder(two.root).stored_config())
    images = sorted(checksum(image) for image in load_splits(config).train)
    first, second = (json.loads((two.root.parent / f"rank{rank}.json").read_text()) for rank in range(2))
    assert len(first) == len(second) == 2
    for mine, others in zip(first, second, strict=True):
        assert sorted(mine + others) == images
        assert len(mine) == len(others) == NUM_IMAGES // 2


def test_two_processes_train_what_one_with_twice_the_batch_would(one: Run, two: Run) -> None:
    alone, together = last(one.root), last(two.root)
    assert alone["global_step"] == together["global_step"] == 2 * NUM_IMAGES // 16
    for name, weight in alone["state_dict"].items():
        torch.testing.assert_close(weight, together["state_dict"][name], rtol=1e-3, atol=1e-5, msg=name)


def test_validation_is_the_mean_over_all_images_however_many_each_process_has(one: Run, two: Run) -> None:
    # 13 images, 7 and 6: a mean of the processes' means would be another.
    alone, together = (
        sorted(float(path.stem.partition("loss")[2]) for path in run.root.glob("checkpoints/epoch*"))
        for run in (one, two)
    )
    assert together == pytest.approx(alone, abs=2e-3)


def test_the_first_process_alone_reports_and_exports(two: Run) -> None:
    assert two.said.count("serve it") == 1
    assert two.said.count("epoch 2/2") == 1
    assert checkpoint.load(two.root / "model.pt").metadata.provenance.steps == 2 * NUM_IMAGES // 16
    assert [path.name for path in two.root.glob("*.pt")] == ["model.pt"]


def test_a_killed_process_ends_the_run_which_goes_on_and_ends_after_as_many_steps(tmp_path: Path) -> None:
    root = tmp_path / "sprites"
    num_epochs = 20  # which take long enough for the first save to be seen before the run has ended
    num_steps = num_epochs * NUM_IMAGES // 8
    flags = tiny_flags(tmp_path, optimizer__epochs=str(num_epochs), machine__save_minutes="1e-9")
    with TrainingProcess(flags, launcher=TORCHRUN) as run:
        run.wait_until((root / "checkpoints/last.ckpt").exists)
        os.kill(run.children()[0], signal.SIGKILL)
        status, said = run.ended()
    assert status != 0, said
    assert 0 < last(root)["global_step"] < num_steps

    with TrainingProcess(["train", "--resume", str(root)], launcher=TORCHRUN) as run:
        status, said = run.ended()
    assert status == 0, said
    assert last(root)["global_step"] == num_steps
    assert (root / "model.pt").is_file()


def test_a_schedulers_sigterm_stops_all_processes_after_the_same_step(tmp_path: Path) -> None:
    root = tmp_path / "sprites"
    with TrainingProcess(tiny_flags(tmp_path, optimizer__epochs="1000"), launcher=TORCHRUN) as run:
        run.wait_until(lambda: any((root / "grids").glob("*epoch001.png")))
        run.process.send_signal(signal.SIGTERM)
        status, said = run.ended()
    assert status != 0
    assert said.count(f"go on with: {python()} -m training train --resume") == 1, said
    assert f"step {last(root)['global_step']}, saved as" in said


def test_the_config_may_ask_for_two_devices_without_torchrun(tmp_path: Path) -> None:
    flags = tiny_flags(tmp_path, machine__devices="2", optimizer__epochs="1")
    with TrainingProcess(flags) as run:
        status, said = run.ended()
    assert status == 0, said
    assert said.count("serve it") == 1
    assert last(tmp_path / "sprites")["global_step"] == NUM_IMAGES // 8
