"""200 real images over HTTP against the checkpoint's own module, run directly in float32."""

import base64
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
import torch

from service import checkpoint
from service.scripted import as_vae
from service.settings import SHIPPED_CHECKPOINT
from tests.live_server import LiveServer
from tests.pictures import file_of, picture, pixels_of
from tests.scrape import samples

SECONDS = 60
NUM_CLIENTS = 64


@pytest.fixture(scope="module")
def exact_server(request: pytest.FixtureRequest) -> Iterator[LiveServer]:
    """A server that decodes in float32, as the module that it is compared with, and has a single lane.

    With many of them each request might find one idle, and have a batch to itself.
    """
    device = str(request.config.getoption("--device"))
    with LiveServer("--precision", "float32", "--device", device, "--device-threads", "1") as live:
        yield live
    assert live.exit_code == 0


@pytest.fixture(scope="module")
def client(exact_server: LiveServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=exact_server.url, timeout=SECONDS) as client:
        yield client


@pytest.fixture(scope="module")
def files(real_images: np.ndarray) -> list[bytes]:
    return [file_of(picture(image)) for image in real_images]


@pytest.fixture(scope="module")
def direct(real_images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """mu, log_var, and the images decoded from mu, by the module itself."""
    module = as_vae(checkpoint.load(SHIPPED_CHECKPOINT).module)
    images = torch.from_numpy(real_images.transpose(0, 3, 1, 2).copy())
    with torch.inference_mode():
        mu, log_var = module.encode(images)
        reconstructions = module.decode(mu)
    return mu.numpy(), log_var.numpy(), reconstructions.permute(0, 2, 3, 1).numpy()


def post(client: httpx.Client, path: str, files: Sequence[bytes]) -> list[dict[str, object]]:
    """Upload up to 64 files at a time; the items of all answers."""
    items = []
    for start in range(0, len(files), 64):
        parts = [("image", ("image.png", file, "image/png")) for file in files[start : start + 64]]
        answer = client.post(path, files=parts)
        assert answer.status_code == 200, answer.text
        items += answer.json()["data"]
    return items


def posteriors(items: Sequence[dict[str, object]]) -> np.ndarray:
    return np.array([[item["mu"], item["log_var"]] for item in items])


def decoded(items: Sequence[dict[str, object]]) -> np.ndarray:
    return np.stack([pixels_of(base64.b64decode(str(item["b64_json"]))) for item in items])


def test_posteriors_agree_with_the_module_to_a_thousandth(
    client: httpx.Client, files: list[bytes], direct: tuple[np.ndarray, ...]
) -> None:
    found = posteriors(post(client, "/encode", files))
    mu, log_var, _ = direct
    np.testing.assert_allclose(found[:, 0], mu, rtol=0, atol=1e-3)
    np.testing.assert_allclose(found[:, 1], log_var, rtol=0, atol=1e-3)


def test_reconstructions_agree_with_the_module_to_one_level(
    client: httpx.Client, files: list[bytes], direct: tuple[np.ndarray, ...]
) -> None:
    items = post(client, "/reconstruct", files)
    levels = np.abs(decoded(items).astype(int) - direct[2])
    assert levels.max() <= 1
    assert levels.mean() < 0.01


def test_reconstruction_figures_agree_with_the_module(
    client: httpx.Client, files: list[bytes], real_images: np.ndarray, direct: tuple[np.ndarray, ...]
) -> None:
    items = post(client, "/reconstruct", files)
    mu, log_var, reconstructions = direct
    mse = np.square((real_images.astype(float) - reconstructions) / 255).mean(axis=(1, 2, 3))
    posterior = torch.distributions.Normal(torch.from_numpy(mu), torch.from_numpy(log_var).mul(0.5).exp())
    kl = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).sum(1)
    np.testing.assert_allclose([item["mse"] for item in items], mse, atol=1e-4)
    np.testing.assert_allclose([item["kl"] for item in items], kl.numpy(), rtol=1e-3)


def test_a_trained_checkpoint_reconstructs_real_clothes(
    direct: tuple[np.ndarray, ...], real_images: np.ndarray
) -> None:
    # The mean image of the set is what a network would give that had learnt nothing else.
    mean_image = real_images.astype(float).mean(axis=0)
    of_mean = np.square(real_images - mean_image).mean()
    of_model = np.square(real_images.astype(float) - direct[2]).mean()
    assert of_model < of_mean / 3


@pytest.mark.parametrize("path", ["/encode", "/reconstruct"])
def test_64_clients_at_once_get_the_answers_of_one_client_alone(
    exact_server: LiveServer, client: httpx.Client, files: list[bytes], path: str
) -> None:
    alone = [post(client, path, [file])[0] for file in files]
    before = samples(client.get("/metrics").text)

    def ask(number: int) -> list[tuple[int, dict[str, object]]]:
        mine = range(number, len(files), NUM_CLIENTS)
        with httpx.Client(base_url=exact_server.url, timeout=SECONDS) as one:
            return [(index, post(one, path, [files[index]])[0]) for index in mine]

    with ThreadPoolExecutor(NUM_CLIENTS) as pool:
        together = dict(answer for answers in pool.map(ask, range(NUM_CLIENTS)) for answer in answers)
    assert [together[index] for index in range(len(files))] == alone

    after = samples(client.get("/metrics").text)
    operation = path.strip("/")
    items, batches = [
        after[f'vae_batch_items_{part}{{operation="{operation}"}}']
        - before[f'vae_batch_items_{part}{{operation="{operation}"}}']
        for part in ("sum", "count")
    ]
    assert items == len(files)
    assert batches < items


def test_an_answer_does_not_depend_on_how_many_images_are_sent(
    client: httpx.Client, files: list[bytes]
) -> None:
    together = post(client, "/encode", files[:64])
    alone = [post(client, "/encode", [file])[0] for file in files[:64]]
    assert [item["mu"] for item in together] == [item["mu"] for item in alone]
    assert [item["log_var"] for item in together] == [item["log_var"] for item in alone]
