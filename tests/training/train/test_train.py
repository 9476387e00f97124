import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from service.checkpoint import load
from service.scripted import as_vae
from training.config import Config, build_config
from training.data import load_splits
from training.errors import TrainingDiverged, TrainingError
from training.evaluate.prior import Prior
from training.run_folder import RunFolder
from training.train import train


@pytest.fixture(scope="module")
def run(tiny_config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one finished run of three epochs."""
    runs = tmp_path_factory.mktemp("runs")
    train(build_config(tiny_config.model_dump(), changes={"optimizer.epochs": 3}), runs=runs)
    return runs / "sprites"


def test_a_run_leaves_a_checkpoint_that_the_service_loads(run: Path) -> None:
    checkpoint = load(run / "model.pt")
    assert checkpoint.metadata.image_shape == (3, 16, 16)
    assert checkpoint.metadata.provenance.epochs == 3


def test_the_best_two_and_the_last_are_kept(run: Path) -> None:
    names = sorted(path.name for path in (run / "checkpoints").iterdir())
    assert len(names) == 3
    assert names[-1] == "last.ckpt"


def test_the_best_is_chosen_by_the_objective_that_is_trained(run: Path) -> None:
    events = EventAccumulator(str(run / "tensorboard")).Reload()
    losses = sorted(event.value for event in events.Scalars("val/loss"))
    kept = sorted(float(path.stem.split("-loss")[1]) for path in (run / "checkpoints").glob("epoch*"))
    assert len(losses) == 3
    assert kept == pytest.approx(losses[:2], abs=1e-3)


def test_grids_of_reconstructions_and_samples_are_written_after_each_validation(run: Path) -> None:
    names = sorted(path.name for path in (run / "grids").iterdir())
    assert names == [
        *(f"{kind}-epoch{epoch:03d}.png" for kind in ("reconstructions", "samples") for epoch in range(3)),
        "samples-served.png",
    ]


def test_the_last_grid_is_of_what_the_exported_checkpoint_draws(run: Path, tiny_config: Config) -> None:
    grid = np.asarray(Image.open(RunFolder(run).served_samples))
    exported = load(run / "model.pt")
    assert exported.prior is not None
    prior = Prior(exported.metadata.latent_dim, exported.prior)
    z = prior.draw(64, seed=tiny_config.seed, device=torch.device("cpu"))
    first = as_vae(exported.module).decode(z)[0].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(grid[2:18, 2:18], first)


def test_the_grid_shows_the_validation_images_without_stretched_contrast(
    run: Path, tiny_config: Config
) -> None:
    grid = np.asarray(Image.open(run / "grids/reconstructions-epoch002.png"))
    images = load_splits(tiny_config).validation.numpy()
    for column in range(8):
        left = 2 + 18 * column
        np.testing.assert_array_equal(grid[2:18, left : left + 16], images[column].transpose(1, 2, 0))


def test_tensorboard_has_the_figures(run: Path) -> None:
    content = next((run / "tensorboard").glob("events*")).read_bytes()
    for tag in (b"val/loss", b"val/rate", b"val/distortion", b"train/loss", b"lr-Adam", b"samples"):
        assert tag in content


def test_the_same_seed_trains_the_same_network(run: Path, tiny_config: Config, tmp_path: Path) -> None:
    train(build_config(tiny_config.model_dump(), changes={"optimizer.epochs": 3}), runs=tmp_path)
    once, again = (
        torch.load(RunFolder(root).last, weights_only=True)["state_dict"]
        for root in (run, tmp_path / "sprites")
    )
    for name, weight in once.items():
        torch.testing.assert_close(weight, again[name], msg=name)


def test_an_earlier_run_is_kept_under_another_name(tiny_config: Config, tmp_path: Path) -> None:
    for _ in range(2):
        train(tiny_config, runs=tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 2
    assert re.fullmatch(r"sprites\.\d{8}-\d{6}", names[1])


def test_nothing_to_resume_is_said(tiny_config: Config, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="nothing to resume"):
        train(tiny_config, runs=tmp_path, resume=True)


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_step(
    tiny_config: Config, tmp_path: Path
) -> None:
    config = build_config(tiny_config.model_dump(), changes={"optimizer.learning_rate": 1e30})
    with pytest.raises(TrainingDiverged, match=r"loss is (nan|inf) at step \d+ .*--lr"):
        train(config, runs=tmp_path)
