import shutil
from pathlib import Path

import pytest

from training.config import Config
from training.train import train


@pytest.fixture(scope="session")
def finished_run(tiny_config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny run, with a fitted prior in its model.pt; not to be changed."""
    runs = tmp_path_factory.mktemp("runs")
    train(tiny_config, runs=runs)
    return runs / "sprites"


@pytest.fixture
def run(finished_run: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(finished_run, tmp_path / "sprites"))
