"""Parity with the eager network, and the promise of a seed, in each precision of the device."""

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch

from service.checkpoint import save
from service.golden import MAX_LATENT_DIFFERENCE, MAX_PIXEL_DIFFERENCE
from service.scripted import without_deprecation_warning
from service.vae.noise import draw_noise
from service.vae.precision import native_precisions
from tests import tiny_vae
from tests.live_server import LiveServer
from tests.pictures import file_of, noise, picture, pixels_of
from training.export.module import build_module
from training.models.vanilla import VanillaVAE

SHAPE = (3, 64, 64)
LATENT_DIM = 32
SEED = 7
PRECISIONS = {"cpu": ["float32", "bfloat16"], "cuda": ["float32", "tf32", "bfloat16", "float16"]}


@pytest.fixture(scope="module")
def network() -> VanillaVAE:
    """The article's kind of network with weights of chance and the statistics of a few pictures."""
    torch.manual_seed(0)
    network = VanillaVAE(SHAPE, latent_dim=LATENT_DIM, hidden_channels=(32, 64, 128))
    with torch.no_grad():
        for _ in range(20):
            network(torch.rand(16, *SHAPE), torch.randn(16, LATENT_DIM))
    return network.eval()


@pytest.fixture(scope="module")
def file(network: VanillaVAE, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its export."""
    described = tiny_vae.metadata().model_copy(update={"image_shape": SHAPE, "latent_dim": LATENT_DIM})
    path = tmp_path_factory.mktemp("checkpoint") / "model.pt"
    with without_deprecation_warning():
        save(path, torch.jit.script(build_module(network)), described)
    return path


@pytest.fixture(scope="module", params=["float32", "tf32", "bfloat16", "float16"])
def precise(request: pytest.FixtureRequest, file: Path) -> Iterator[tuple[str, httpx.Client]]:
    """A server in one precision, that of decoding and of encoding alike, and a client of it."""
    device = str(request.config.getoption("--device"))
    if request.param not in PRECISIONS[device.partition(":")[0]]:
        pytest.skip(f"{request.param} is not for {device}")
    if request.param not in native_precisions(torch.device(device)):
        pytest.skip(f"this {device} has no instructions for {request.param}")
    flags = ("--checkpoint", str(file), "--device", device, "--precision", request.param)
    with (
        LiveServer(*flags, "--encode-precision", request.param) as live,
        httpx.Client(base_url=live.url, timeout=60) as client,
    ):
        yield request.param, client


def sample(client: httpx.Client, n: int) -> list[bytes]:
    answer = client.post("/sample", json={"n": n, "seed": SEED})
    assert answer.status_code == 200, answer.text
    return [base64.b64decode(item["b64_json"]) for item in answer.json()["data"]]


def test_it_is_the_precision_that_was_asked_for(precise: tuple[str, httpx.Client]) -> None:
    precision, client = precise
    (model,) = client.get("/models").json()["data"]
    assert (model["precision"], model["encode_precision"]) == (precision, precision)


def test_samples_are_within_two_levels_of_the_eager_network(
    precise: tuple[str, httpx.Client], network: VanillaVAE
) -> None:
    _, client = precise
    with torch.inference_mode():
        logits = network.decode_logits(torch.from_numpy(draw_noise(SEED, 64, LATENT_DIM)))
    eager = (torch.sigmoid(logits) * 255).round().permute(0, 2, 3, 1).numpy()
    levels = np.abs(np.stack([pixels_of(file) for file in sample(client, 64)]) - eager)
    assert levels.max() <= MAX_PIXEL_DIFFERENCE
    assert levels.mean() < 0.5


def test_posteriors_are_within_tolerance_of_the_eager_network(
    precise: tuple[str, httpx.Client], network: VanillaVAE
) -> None:
    precision, client = precise
    image = noise(64, 64, 3)
    answer = client.post("/encode", files=[("image", ("a.png", file_of(picture(image)), "image/png"))])
    (item,) = answer.json()["data"]
    with torch.inference_mode():
        eager = network.encode(torch.from_numpy(image.transpose(2, 0, 1)[None] / np.float32(255)))
    tolerance = 1e-3 if precision == "float32" else MAX_LATENT_DIFFERENCE
    np.testing.assert_allclose([item["mu"], item["log_var"]], torch.cat(eager), rtol=0, atol=tolerance)


def test_a_seed_gives_the_same_bytes_for_any_n_alone_and_under_load(
    precise: tuple[str, httpx.Client],
) -> None:
    _, client = precise
    alone = sample(client, 64)
    assert sample(client, 1) == alone[:1]
    with ThreadPoolExecutor(16) as pool:
        for n, files in pool.map(lambda n: (n, sample(client, n)), [1, 64, 2, 33, 5, 17, 1, 9] * 4):
            assert files == alone[:n]
