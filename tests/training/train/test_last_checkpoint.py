import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch

from training.config import Config, build_config
from training.errors import RunStopped, TrainingDiverged
from training.lightning_module import VAETraining
from training.train import train

ALWAYS = 1e-9  # minutes


class AfterStep(lightning.Callback):
    """Does something after so many steps."""

    def __init__(self, num_steps: int, act: Callable[[VAETraining], None]) -> None:
        self.num_steps = num_steps
        self.act = act

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *_: object
    ) -> None:
        assert isinstance(pl_module, VAETraining)
        if trainer.global_step == self.num_steps:
            self.act(pl_module)


@pytest.fixture
def config(tiny_config: Config) -> Config:
    """Two epochs of four steps, with all that a resumed run has to take up again."""
    changes = {
        "optimizer.epochs": 2,
        "optimizer.ema_decay": 0.9,
        "optimizer.schedule": "cosine",
        "optimizer.warmup_steps": 0,
        "data.flip": True,
        "data.noise": 0.1,
        "prior.components": 0,
    }
    return build_config(tiny_config.model_dump(), changes=changes)


def act_after(num_steps: int, act: Callable[[VAETraining], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VAETraining, "configure_callbacks", lambda _self: [AfterStep(num_steps, act)])


def last(runs: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(runs / "sprites/checkpoints/last.ckpt", weights_only=True)
    return state


def epochs(runs: Path) -> list[str]:
    """Names of the checkpoints of the best epochs: each with its number and its val/loss."""
    return sorted(path.name for path in (runs / "sprites/checkpoints").glob("epoch*.ckpt"))


def assert_same_network(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one["global_step"] == other["global_step"]
    for name, weight in one["state_dict"].items():
        torch.testing.assert_close(weight, other["state_dict"][name], rtol=0, atol=0, msg=name)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("num_steps", [6, 4])  # within an epoch, and before the validation at the end of one
def test_a_run_that_a_signal_stopped_goes_on_as_if_it_had_not(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, num_steps: int
) -> None:
    train(config, runs=tmp_path / "whole")
    act_after(num_steps, lambda _: signal.raise_signal(number), monkeypatch)
    epoch = (num_steps + 3) // 4
    with pytest.raises(
        RunStopped, match=rf"stopped in epoch {epoch}, step {num_steps}.*--resume .*sprites"
    ) as caught:
        train(config, runs=tmp_path / "stopped")
    assert caught.value.signal_number == number
    assert last(tmp_path / "stopped")["global_step"] == num_steps
    assert len(epochs(tmp_path / "stopped")) == num_steps // 4
    monkeypatch.undo()

    train(config, runs=tmp_path / "stopped", resume=True)
    assert_same_network(last(tmp_path / "whole"), last(tmp_path / "stopped"))
    assert epochs(tmp_path / "stopped") == epochs(tmp_path / "whole")


def test_a_run_that_ended_in_the_validation_of_an_epoch_validates_it_when_it_goes_on(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("killed")

    often = build_config(config.model_dump(), changes={"machine.save_minutes": ALWAYS})
    train(often, runs=tmp_path / "whole")
    monkeypatch.setattr(VAETraining, "on_validation_epoch_start", fail)
    with pytest.raises(RuntimeError, match="killed"):
        train(often, runs=tmp_path / "killed")
    monkeypatch.undo()

    train(often, runs=tmp_path / "killed", resume=True)
    assert_same_network(last(tmp_path / "whole"), last(tmp_path / "killed"))
    assert epochs(tmp_path / "killed") == epochs(tmp_path / "whole")


def test_a_second_signal_stops_at_once_and_leaves_what_was_saved(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def press_twice(_: VAETraining) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    act_after(6, press_twice, monkeypatch)
    with pytest.raises(RunStopped, match=r"stopped at once; go on from what was last saved with.*--resume"):
        train(config, runs=tmp_path)
    assert last(tmp_path)["global_step"] == 4


def test_signals_mean_after_a_run_what_they_meant_before(config: Config, tmp_path: Path) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    train(config, runs=tmp_path)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_within_an_epoch_it_is_saved_as_often_as_the_config_says(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    often = build_config(config.model_dump(), changes={"machine.save_minutes": ALWAYS})
    seen = []
    act_after(7, lambda _: seen.append(last(tmp_path)["global_step"]), monkeypatch)
    train(often, runs=tmp_path)
    assert seen == [6]


def test_a_network_that_is_no_longer_made_of_numbers_is_never_saved(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_it(training: VAETraining) -> None:
        next(training.model.parameters()).data[0] = float("nan")

    often = build_config(config.model_dump(), changes={"machine.save_minutes": ALWAYS})
    act_after(6, break_it, monkeypatch)
    expected = r"no longer made of numbers at step 6 .*--resume .*sprites --lr 0\.\d+$"
    with pytest.raises(TrainingDiverged, match=expected):
        train(often, runs=tmp_path)
    assert last(tmp_path)["global_step"] == 5
    assert all(value.isfinite().all() for value in last(tmp_path)["state_dict"].values())


def test_a_resumed_run_takes_another_learning_rate(config: Config, tmp_path: Path) -> None:
    train(config, runs=tmp_path)
    changes = {"optimizer.epochs": 4, "optimizer.learning_rate": config.optimizer.learning_rate / 10}
    train(build_config(config.model_dump(), changes=changes), runs=tmp_path, resume=True)
    (optimizer,) = last(tmp_path)["optimizer_states"]
    (schedule,) = last(tmp_path)["lr_schedulers"]
    assert schedule["base_lrs"] == pytest.approx([config.optimizer.learning_rate / 10] * 2)
    # A cosine, of which the last step has been taken.
    assert [group["lr"] for group in optimizer["param_groups"]] == pytest.approx([0, 0])
