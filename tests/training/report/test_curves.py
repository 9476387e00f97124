from pathlib import Path

import numpy as np
import pytest
from torch.utils.tensorboard import SummaryWriter

from training.report.curves import Curve, read_log


def write_events(folder: Path, scalars: dict[str, dict[int, float]], *, start: float, suffix: str) -> None:
    """One event file; each step takes a second of its own clock."""
    with SummaryWriter(str(folder), filename_suffix=suffix) as writer:
        for tag, values in scalars.items():
            for step, value in values.items():
                writer.add_scalar(tag, value, step, walltime=start + step)


def test_a_folder_without_events_has_no_log(tmp_path: Path) -> None:
    assert read_log(tmp_path / "nowhere") is None


def test_the_training_elbo_is_minus_distortion_and_rate_where_both_are_known(tmp_path: Path) -> None:
    scalars = {"train/distortion": {0: 100.0, 1: 90.0, 2: 80.0}, "train/rate": {1: 5.0, 2: 7.0}}
    write_events(tmp_path, scalars, start=1000, suffix=".a")
    log = read_log(tmp_path)
    assert log is not None
    assert log.curves["train/elbo"].steps.tolist() == [1, 2]
    assert log.curves["train/elbo"].values.tolist() == [-95, -87]
    assert log.seconds == pytest.approx(2)


def test_a_resumed_run_is_one_curve_and_the_pause_is_not_counted(tmp_path: Path) -> None:
    write_events(tmp_path, {"val/mse": {0: 4.0, 5: 3.0, 9: 2.0}}, start=1000, suffix=".1")
    write_events(tmp_path, {"val/mse": {5: 2.5, 7: 1.0}}, start=90_000, suffix=".2")
    log = read_log(tmp_path)
    assert log is not None
    assert log.curves["val/mse"].steps.tolist() == [0, 5, 7, 9]
    assert log.curves["val/mse"].values.tolist() == [4, 2.5, 1, 2]
    assert log.seconds == pytest.approx(9 + 2)


def test_every_step_of_a_long_run_is_kept(tmp_path: Path) -> None:
    write_events(tmp_path, {"train/loss": {step: 1.0 for step in range(11_000)}}, start=0, suffix=".1")
    log = read_log(tmp_path)
    assert log is not None
    assert len(log.curves["train/loss"].steps) == 11_000


def test_a_long_curve_is_averaged_and_a_short_one_left_as_it_is() -> None:
    curve = Curve(np.arange(6.0), np.array([0.0, 2.0, 4.0, 6.0, 10.0, 20.0]))
    averaged = curve.averaged(3)
    assert averaged.steps.tolist() == [0.5, 2.5, 4.5]
    assert averaged.values.tolist() == [1, 5, 15]
    assert curve.averaged(100).values.tolist() == curve.values.tolist()
