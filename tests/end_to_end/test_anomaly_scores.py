"""The shipped checkpoint's anomaly score tells clothes from what is none, over HTTP, on real pictures.

The known failure of likelihoods, that plain pictures score better than the data, is among them: pictures of
one grey, and dark noise, which the bound takes for better clothes than clothes.
"""

import gzip
import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import roc_auc_score

from service import checkpoint
from service.scoring.distribution import score_distribution
from service.scripted import as_vae
from service.settings import SHIPPED_CHECKPOINT
from tests.live_server import LiveServer

pytestmark = pytest.mark.slow

SIDE = 28
NUM_IMAGES = 512
NUM_VALIDATION_IMAGES = 10_000  # the last ones of the training file: training keeps them for validation
BATCH = 64
SMALLEST_AUROC = 0.95
FASHION = "fashion-mnist/FashionMNIST/raw/{}-images-idx3-ubyte.gz"
DIGITS = "mnist/MNIST/raw/{}-images-idx3-ubyte.gz"
FACES = "celeba-original-558.zip"

Json = list[dict[str, float]]


def read_idx(path: Path) -> np.ndarray:
    """Images of a set in LeCun's format: uint8 (N, 28, 28, 1)."""
    if not path.is_file():
        pytest.skip(f"no real data: {path} does not exist")
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=16).reshape(-1, SIDE, SIDE, 1)


def photos(real_data: Path) -> np.ndarray:
    """Faces, grey and resized whole: uint8 (N, 28, 28, 1)."""
    path = real_data / FACES
    if not path.is_file():
        pytest.skip(f"no real data: {path} does not exist")
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg")][:NUM_IMAGES]
        pictures = [Image.open(io.BytesIO(archive.read(name))).convert("L") for name in names]
    pixels = [np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR)) for picture in pictures]
    return np.stack(pixels)[..., None]


def white_noise(_: Path) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (NUM_IMAGES, SIDE, SIDE, 1), np.uint8)


def grey_noise(_: Path) -> np.ndarray:
    levels = np.random.default_rng(1).normal(128, 50, (NUM_IMAGES, SIDE, SIDE, 1))
    return np.clip(levels, 0, 255).astype(np.uint8)


def dark_noise(_: Path) -> np.ndarray:
    levels = np.random.default_rng(2).normal(0, 20, (NUM_IMAGES, SIDE, SIDE, 1))
    return np.clip(levels, 0, 255).astype(np.uint8)


def one_grey(_: Path) -> np.ndarray:
    levels = np.random.default_rng(3).integers(0, 256, (NUM_IMAGES, 1, 1, 1), np.uint8)
    return np.broadcast_to(levels, (NUM_IMAGES, SIDE, SIDE, 1)).copy()


def digits(real_data: Path) -> np.ndarray:
    return read_idx(real_data / DIGITS.format("t10k"))[:NUM_IMAGES]


STRANGERS: dict[str, Callable[[Path], np.ndarray]] = {
    "digits": digits,
    "photos": photos,
    "white noise": white_noise,
    "grey noise": grey_noise,
    "dark noise": dark_noise,
    "one grey": one_grey,
}


@pytest.fixture(scope="module")
def client(
    request: pytest.FixtureRequest, real_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """A client of a server with the shipped checkpoint, whose scores are measured now where it has none."""
    path = tmp_path_factory.mktemp("checkpoint") / "model.pt"
    path.write_bytes(SHIPPED_CHECKPOINT.read_bytes())
    loaded = checkpoint.load(path)
    if loaded.metadata.scores is None:
        kept = read_idx(real_data / FASHION.format("train"))[-NUM_VALIDATION_IMAGES:]
        images = torch.from_numpy(kept.copy()).permute(0, 3, 1, 2)
        scores = score_distribution(as_vae(loaded.module), images, loaded.metadata, prior=loaded.prior)
        checkpoint.replace_metadata(path, loaded.metadata.model_copy(update={"scores": scores}))
    device = str(request.config.getoption("--device"))
    with (
        LiveServer("--checkpoint", str(path), "--device", device) as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
    ):
        yield client


def scored(client: httpx.Client, images: np.ndarray) -> Json:
    items: Json = []
    for batch in np.split(images, range(BATCH, len(images), BATCH)):
        body = io.BytesIO()
        np.save(body, batch)
        answer = client.post("/score", content=body.getvalue(), headers={"content-type": "application/x-npy"})
        assert answer.status_code == 200, answer.text
        items += answer.json()["data"]
    return items


@pytest.fixture(scope="module")
def clothes(client: httpx.Client, real_data: Path) -> Json:
    return scored(client, read_idx(real_data / FASHION.format("t10k"))[:NUM_IMAGES])


def auroc(known: Json, strange: Json, name: str, sign: int = 1) -> float:
    values = [sign * item[name] for item in [*known, *strange]]
    return float(roc_auc_score([False] * len(known) + [True] * len(strange), values))


@pytest.mark.parametrize("stranger", STRANGERS)
def test_strangers_are_told_from_clothes(
    client: httpx.Client, clothes: Json, real_data: Path, stranger: str
) -> None:
    strange = scored(client, STRANGERS[stranger](real_data))
    found = auroc(clothes, strange, "anomaly")
    print(f"\n{stranger}: AUROC {found:.4f}, of -elbo {auroc(clothes, strange, 'elbo', -1):.4f}")  # noqa: T201
    assert found >= SMALLEST_AUROC


def test_clothes_that_were_never_seen_are_spread_over_all_percentiles(clothes: Json) -> None:
    percentiles = np.array([item["percentile"] for item in clothes])
    # Kolmogorov and Smirnov: sqrt(n) D exceeds 1.95 once in a thousand samples; validation and test images
    # differ a little besides.
    steps = (np.arange(len(percentiles)) + 0.5) / len(percentiles)
    assert np.sqrt(len(percentiles)) * np.abs(np.sort(percentiles) / 100 - steps).max() < 3


def test_the_bound_is_near_the_one_that_was_measured_at_export(client: httpx.Client, clothes: Json) -> None:
    (model,) = client.get("/models").json()["data"]
    elbo = np.array([item["elbo"] for item in clothes])
    standard_error = elbo.std() / np.sqrt(len(elbo))
    assert abs(elbo.mean() - model["quality"]["elbo"]) < 5 * standard_error
