"""What a person may get wrong about a run: one line that says what, and what to do about it."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.distributed import DistBackendError

from training.config import Config, build_config, load_preset
from training.errors import ConfigError, DataError, TrainingError
from training.lightning_module import VAETraining
from training.run_folder import RunFolder
from training.train import train


def changed(config: Config, changes: Mapping[str, Any]) -> Config:
    return build_config(config.model_dump(), changes=changes)


def photos(folder: Path, num_images: int, *, size: int = 20) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(num_images):
        noise = np.random.default_rng(index).integers(0, 256, (size, size, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"{index:03d}.png")
    return folder


def on_photos(root: Path, changes: Mapping[str, Any] | None = None) -> Config:
    """A run of seconds on a folder of pictures."""
    tiny = {
        "data.root": root,
        "data.image_shape": (3, 16, 16),
        "model.architecture": "vanilla",
        "model.hidden_channels": (4, 8),
        "model.latent_dim": 3,
        "optimizer.epochs": 2,
        "prior.components": 0,
        "machine.device": "cpu",
    }
    return load_preset("folder", changes={**tiny, **(changes or {})})


@pytest.fixture(scope="module")
def run(tiny_config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run."""
    runs = tmp_path_factory.mktemp("runs")
    train(changed(tiny_config, {"prior.components": 0}), runs=runs)
    return runs / "sprites"


@pytest.fixture
def runs(run: Path, tmp_path: Path) -> Path:
    """The folder of runs with a copy of the finished one."""
    shutil.copytree(run, tmp_path / "sprites")
    return tmp_path


def resumed(runs: Path, changes: Mapping[str, Any] | None = None) -> None:
    values = {**RunFolder(runs / "sprites").stored_config(), "name": "sprites"}
    train(build_config(values, changes={"optimizer.epochs": 2, **(changes or {})}), runs=runs, resume=True)


@pytest.mark.parametrize("architecture", ["vanilla", "residual", "mlp"])
@pytest.mark.parametrize("num_images", [2, 3])
def test_a_few_pictures_are_enough_and_a_batch_larger_than_them_is_all_of_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, architecture: str, num_images: int
) -> None:
    config = on_photos(photos(tmp_path / "photos", num_images), {"model.architecture": architecture})
    with caplog.at_level("INFO", logger="training"):
        exported = train(config, runs=tmp_path)
    assert exported is not None
    assert exported.is_file()
    assert f"a step takes all of them: a batch would be {config.optimizer.batch_size}" in caplog.text
    assert torch.load(tmp_path / "folder/checkpoints/last.ckpt", weights_only=True)["global_step"] == 2


def test_a_batch_too_small_for_batchnorm_is_refused_with_the_remedy(tmp_path: Path) -> None:
    # 8x8 pixels are 1x1 after three stages.
    shape = {"data.image_shape": (3, 8, 8), "model.hidden_channels": (4, 8, 8)}
    config = on_photos(photos(tmp_path / "photos", 5), {**shape, "optimizer.batch_size": 1})
    with pytest.raises(TrainingError, match=r"one image is too small for BatchNorm.*--batch-size 2"):
        train(config, runs=tmp_path)


def test_more_processes_than_pictures_are_refused_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = on_photos(photos(tmp_path / "photos", 2), {"machine.device": "cuda", "machine.devices": 3})
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ConfigError, match="3 cuda devices are wanted and 2 are here: use --devices 2"):
        train(config, runs=tmp_path)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ConfigError, match="0 are here: use --device cpu"):
        train(config, runs=tmp_path)


def test_a_folder_of_runs_that_cannot_be_written_is_named(tiny_config: Config, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match=rf"{tmp_path}/file/sprites.* cannot be written: Not a directory"):
        train(tiny_config, runs=tmp_path / "file")


def test_a_grid_that_cannot_be_written_is_named(runs: Path) -> None:
    (runs / "sprites/grids/samples-epoch001.png").mkdir()
    expected = r"samples-epoch001\.png cannot be written: Is a directory.*--resume .*/sprites$"
    with pytest.raises(TrainingError, match=expected):
        resumed(runs)


def test_a_resumed_run_whose_pictures_have_changed_is_refused(tmp_path: Path) -> None:
    root = photos(tmp_path / "photos", 6)
    train(on_photos(root), runs=tmp_path)
    last = (tmp_path / "folder/checkpoints/last.ckpt").read_bytes()
    photos(root, 7)
    with pytest.raises(DataError, match=r"other images \(5 of them, now there are 6\).*same ones"):
        train(on_photos(root, {"optimizer.epochs": 3}), runs=tmp_path, resume=True)
    assert (tmp_path / "folder/checkpoints/last.ckpt").read_bytes() == last
    (root / "006.png").unlink()
    train(on_photos(root, {"optimizer.epochs": 3}), runs=tmp_path, resume=True)


def test_a_checkpoint_of_another_run_is_refused_by_its_first_difference(
    runs: Path, tiny_config: Config, tmp_path: Path
) -> None:
    other = changed(tiny_config, {"model.latent_dim": 5, "prior.components": 0, "name": "other"})
    train(other, runs=tmp_path)
    shutil.copy(tmp_path / "other/checkpoints/last.ckpt", runs / "sprites/checkpoints/last.ckpt")
    with pytest.raises(ConfigError, match=r"last\.ckpt was trained with model\.latent_dim = 5, not 3"):
        resumed(runs)


def test_weights_of_another_network_are_told_in_one_line(runs: Path) -> None:
    last = RunFolder(runs / "sprites").last
    state = torch.load(last, weights_only=True)
    state["state_dict"].popitem()
    torch.save(state, last)
    with pytest.raises(TrainingError, match=r"last\.ckpt is of another network than its config") as caught:
        resumed(runs)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", None])
def test_a_damaged_last_checkpoint_is_named(runs: Path, content: bytes | None) -> None:
    last = runs / "sprites/checkpoints/last.ckpt"
    last.write_bytes(last.read_bytes()[:1000] if content is None else content)
    with pytest.raises(TrainingError, match=rf"{last} is no checkpoint of a training run"):
        resumed(runs)


@pytest.mark.parametrize("content", ["", "- 1", "a: [", "\0"])
def test_a_damaged_config_is_named(runs: Path, content: str) -> None:
    (runs / "sprites/config.yaml").write_text(content)
    with pytest.raises(TrainingError, match=r"sprites/config\.yaml (cannot be read|holds no config)"):
        resumed(runs)


def test_a_file_in_place_of_a_run_is_named(run: Path) -> None:
    with pytest.raises(TrainingError, match=r"last\.ckpt is a file: --resume takes the folder of a run"):
        RunFolder(run / "checkpoints/last.ckpt").stored_config()


def test_a_finished_run_is_resumed_to_be_exported_again(runs: Path) -> None:
    (runs / "sprites/model.pt").unlink()
    resumed(runs, {"optimizer.epochs": 1})
    assert (runs / "sprites/model.pt").is_file()


def test_an_export_that_fails_after_training_says_that_it_alone_is_left(
    tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = changed(tiny_config, {"prior.components": 0, "name": "blocked"})
    (tmp_path / "blocked/model.pt").mkdir(parents=True)
    expected = r"model\.pt cannot be written: Is a directory; the network is trained; export .*/blocked$"
    with pytest.raises(TrainingError, match=expected):
        train(config, runs=tmp_path)


def test_a_last_picture_that_cannot_be_written_is_named_and_the_export_stays(
    runs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = RunFolder(runs / "sprites")
    folder.served_samples.unlink()
    folder.served_samples.mkdir()
    with caplog.at_level("WARNING", logger="training"):
        resumed(runs)
    assert f"{folder.served_samples} cannot be written" in caplog.text
    assert folder.exported.is_file()


def test_epochs_without_a_rate_are_reported_too(
    tiny_config: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = changed(tiny_config, {"loss.objective": "autoencoder", "prior.components": 0})
    with caplog.at_level("INFO", logger="training"):
        train(config, runs=tmp_path)
    line = next(message for message in caplog.messages if message.startswith("epoch 1/1"))
    assert "rate" not in line
    assert "distortion" in line


def test_a_loss_that_is_no_number_is_never_saved_and_says_how_to_go_on(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = (runs / "sprites/checkpoints/last.ckpt").read_bytes()
    objective = VAETraining.objective
    monkeypatch.setattr(VAETraining, "objective", lambda *a, **k: objective(*a, **k) * float("nan"))
    expected = r"the loss is nan at step 4 .*--resume .*/sprites --lr [\d.]+$"
    with pytest.raises(TrainingError, match=expected):
        resumed(runs)
    assert (runs / "sprites/checkpoints/last.ckpt").read_bytes() == last


def test_a_run_that_was_moved_goes_on_and_keeps_its_best_two(runs: Path) -> None:
    resumed(runs, {"optimizer.epochs": 4})
    names = {path.name for path in (runs / "sprites/checkpoints").iterdir()}
    assert len(names) == 3
    assert "last.ckpt" in names


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), "no memory for batches of 16: .*--batch-size 8"),
        (
            RuntimeError("[gloo/transport/tcp/pair.cc:561] Connection closed by peer"),
            "another process .*--resume",
        ),
        (DistBackendError("NCCL error"), "another process .*--resume"),
    ],
)
def test_what_ends_a_run_from_outside_is_said_in_one_line(
    runs: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(VAETraining, "training_step", fail)
    with pytest.raises(TrainingError, match=message):
        resumed(runs)


def test_what_is_not_foreseen_is_not_hidden(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(VAETraining, "training_step", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        resumed(runs)
