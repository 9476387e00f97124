from pathlib import Path

import pytest

from training.config import Config, build_config
from training.report import write_report
from training.train import train


@pytest.fixture(scope="session")
def reported_run(tiny_config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of two epochs with a latent of two units, and its report."""
    changes = {"model.latent_dim": 2, "optimizer.epochs": 2}
    runs = tmp_path_factory.mktemp("reported-runs")
    train(build_config(tiny_config.model_dump(), changes=changes), runs=runs)
    write_report(runs / tiny_config.name)
    return runs / tiny_config.name
