"""The line end to end on real pictures: train, resume, export, serve, and agree with the eager network."""

import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from PIL import Image

from tests.live_server import ROOT, LiveServer
from tests.pictures import pixels_of
from training.config import DataConfig
from training.data import load_splits
from training.data.preparation import prepare
from training.export import load_trained, stored_config
from training.lightning_module import as_unit_range

NUM_IMAGES = 200


@pytest.fixture(scope="module")
def pictures(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """558 original CelebA files in Kaggle's layout."""
    archive = real_data / "celeba-original-558.zip"
    if not archive.is_file():
        pytest.skip(f"no CelebA: {archive.name} is not in {real_data}")
    folder = tmp_path_factory.mktemp("celeba")
    zipfile.ZipFile(archive).extractall(folder)
    return folder / "celeba"


@pytest.fixture(scope="module")
def run(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the article's network, one epoch, resumed for a second one."""
    runs = tmp_path_factory.mktemp("runs")
    train("--preset", "celeba-vanilla", "--data", str(pictures), "--runs", str(runs), "--epochs", "1")
    train("--resume", str(runs / "celeba-vanilla"), "--epochs", "2")
    return runs / "celeba-vanilla"


def train(*flags: str) -> None:
    command = [sys.executable, "-m", "training", "train", *flags]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_run_writes_grids_and_checkpoints_and_what_is_served(run: Path) -> None:
    assert len(list((run / "grids").glob("*.png"))) >= 4  # samples and reconstructions of two epochs
    assert (run / "checkpoints" / "last.ckpt").is_file()
    assert (run / "model.pt").is_file()


def test_the_served_export_agrees_with_the_eager_network_on_real_pictures(run: Path, pictures: Path) -> None:
    best = next(path for path in sorted((run / "checkpoints").glob("*.ckpt")) if is_exported(path, run))
    eager, _ = load_trained(best, splits=load_splits(stored_config(best)))
    files = sorted(pictures.rglob("*.jpg"))[:NUM_IMAGES]

    with LiveServer("--checkpoint", str(run / "model.pt"), "--precision", "float32") as live:
        figures, decoded = over_http(live.url, files)

    config = eager.config.data
    prepared = np.stack([prepared_by_training(file, config) for file in files])
    with torch.inference_mode():
        mu, log_var = eager.model.encode(as_unit_range(torch.from_numpy(prepared)))
        pixels = (torch.sigmoid(eager.model.decode_logits(mu)) * 255).round()
    np.testing.assert_allclose(figures[:, 0], mu, atol=1e-3, rtol=0)
    np.testing.assert_allclose(figures[:, 1], log_var, atol=1e-3, rtol=0)
    np.testing.assert_allclose(decoded, pixels.permute(0, 2, 3, 1), atol=1, rtol=0)


def prepared_by_training(file: Path, config: DataConfig) -> np.ndarray:
    with Image.open(file) as image:
        return prepare(image, preprocessing=config.preprocessing, image_shape=config.image_shape)


def is_exported(path: Path, run: Path) -> bool:
    """Whether a checkpoint is the best of its run, which `model.pt` was exported from."""
    losses = {
        other: float(other.stem.partition("loss")[2]) for other in (run / "checkpoints").glob("epoch*.ckpt")
    }
    return path == min(losses, key=lambda other: losses[other])


def over_http(url: str, files: list[Path]) -> tuple[np.ndarray, np.ndarray]:
    """mu and log_var (N, 2, D), and reconstructions (N, H, W, C), each file sent raw."""
    figures, decoded = [], []
    headers = {"content-type": "image/jpeg"}
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        for file in files:
            (item,) = client.post("/encode", content=file.read_bytes()).json()["data"]
            figures.append([item["mu"], item["log_var"]])
            answer = client.post("/reconstruct", content=file.read_bytes(), headers={"accept": "image/png"})
            decoded.append(pixels_of(answer.content))
    return np.array(figures), np.stack(decoded).astype(int)
