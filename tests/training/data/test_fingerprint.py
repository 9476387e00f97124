"""A folder in which pictures were added since a run has another split: whoever measures on it is told."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.commands import main
from training.config import Config, build_config
from training.train import train

WARNING = "the images have changed since the run"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for index in range(40):
        write_picture(folder / f"{index:03d}.png", seed=index)
    return folder


@pytest.fixture(scope="module")
def run(tiny_config: Config, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    changes = {"name": "folder", "data.dataset": "folder", "data.root": pictures, "data.limit": None}
    runs = tmp_path_factory.mktemp("runs")
    train(build_config(tiny_config.model_dump(), changes=changes), runs=runs)
    return runs / "folder"


def write_picture(path: Path, *, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def test_pictures_that_were_added_since_the_run_are_warned_of_wherever_something_is_measured(
    run: Path, pictures: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    measure = ["evaluate", str(run), "--importance-samples", "0", "--no-write", "--limit", "3"]
    measure += ["--cache", str(tmp_path), "--output", str(tmp_path / "figures.json")]
    commands = [measure, ["report", str(run)], ["export", str(run), "--to", str(tmp_path / "model.pt")]]
    assert [main(command) for command in commands] == [0, 0, 0]
    assert WARNING not in caplog.text

    write_picture(pictures / "000a.png", seed=99)
    for command in commands:
        caplog.clear()
        assert main(command) == 0
        assert caplog.text.count(WARNING) == 1, command[0]
