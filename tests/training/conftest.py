import os
from pathlib import Path

import pytest

from training.config import Config, load_preset

# Warnings of the libraries themselves, none of which a caller can do anything about.
IGNORED_WARNINGS = (
    r"ignore:`isinstance\(treespec, LeafSpec\)` is deprecated",
    r"ignore:`torch\.jit\.\w+` is deprecated",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            for warning in IGNORED_WARNINGS:
                item.add_marker(pytest.mark.filterwarnings(warning))


@pytest.fixture(scope="session")
def tiny_config() -> Config:
    """A run of a second: 64 sprites of 16x16 pixels, two stages, one epoch."""
    return load_preset(
        "sprites",
        changes={
            "data.image_shape": (3, 16, 16),
            "model.architecture": "vanilla",
            "loss.scale": 0.25,
            "loss.kl_warmup_epochs": 0,
            "optimizer.ema_decay": None,
            "data.limit": 64,
            "model.hidden_channels": (4, 8),
            "model.latent_dim": 3,
            "optimizer.epochs": 1,
            "optimizer.batch_size": 16,
            "machine.device": "cpu",
        },
    )


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets; VAE_TEST_DATA says where it is, `../shared/data` being the default."""
    default = Path(__file__).parents[2] / ".." / "shared" / "data"
    folder = Path(os.environ.get("VAE_TEST_DATA", default)).resolve()
    if not folder.is_dir():
        pytest.skip(
            f"no real data: {folder} does not exist; set VAE_TEST_DATA to a folder with fashion-mnist/"
        )
    return folder
