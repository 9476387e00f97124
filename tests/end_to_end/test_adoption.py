"""A VAE that somebody else exported with torch.jit.script alone: looked into, adopted, and served."""

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from torch import Tensor

from service.vae.noise import draw_noise
from tests import foreign_vaes
from tests.conftest import ROOT
from tests.foreign_vaes import IMAGE_SHAPE, LATENT_DIM
from tests.live_server import LiveServer
from tests.pictures import file_of, noise, picture, pixels_of

SECONDS = 120


def run(*arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a command of the service as a person would."""
    done = subprocess.run(
        [sys.executable, "-m", "service", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def foreign_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("foreign")
    return foreign_vaes.write(foreign_vaes.scripted(foreign_vaes.ConvVAE()), folder / "pictures.pt")


@pytest.fixture(scope="module")
def adopting_server(request: pytest.FixtureRequest, foreign_file: Path) -> Iterator[LiveServer]:
    """A server of the adopted file, in the arithmetic that the expected values are computed in."""
    target = foreign_file.with_name("model.pt")
    assert (
        f"-m service serve --checkpoint {target}"
        in run("adopt", str(foreign_file), "--to", str(target)).stdout
    )
    device = str(request.config.getoption("--device"))
    with LiveServer("--device", device, "--precision", "float32", "--checkpoint", str(target)) as live:
        yield live
    assert live.exit_code == 0


@pytest.fixture
def network() -> foreign_vaes.ConvVAE:
    return foreign_vaes.ConvVAE().eval()


@torch.inference_mode()
def levels(network: foreign_vaes.ConvVAE, z: np.ndarray) -> Tensor:
    """What latents decode to: (N, H, W, C) in levels of 0 to 255, not rounded."""
    return 255 * network.decode(torch.from_numpy(z)).permute(0, 2, 3, 1)


def assert_rounded(pixels: np.ndarray, expected: Tensor) -> None:
    assert np.abs(pixels - expected.numpy()).max() <= 0.5 + 1e-2


def test_inspect_says_what_the_file_lacks_and_what_would_help(foreign_file: Path) -> None:
    done = run("inspect", str(foreign_file), status=3)
    shown = json.loads(done.stdout)
    assert shown["lacks"] == ["metadata.json", "golden.npz"]
    assert "encode(Tensor x) -> List[Tensor]" in shown["methods"]
    assert "python -m service adopt" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_serve_refuses_the_file_as_it_was_exported(foreign_file: Path) -> None:
    done = run("serve", "--port", "0", "--checkpoint", str(foreign_file), status=3)
    assert "metadata.json: is not there" in done.stderr
    assert "python -m service adopt" in done.stderr


def test_models_says_that_it_was_adopted(adopting_server: LiveServer) -> None:
    model = httpx.get(f"{adopting_server.url}/models/pictures").json()
    assert model["image_shape"] == list(IMAGE_SHAPE)
    assert model["latent_dim"] == LATENT_DIM
    assert model["provenance"]["origin"] == "adopted"
    assert model["likelihood"] is None


def test_decode_and_sample_answer_as_the_network_does(
    adopting_server: LiveServer, network: foreign_vaes.ConvVAE
) -> None:
    z = draw_noise(5, 3, LATENT_DIM)
    answers = [
        httpx.post(f"{adopting_server.url}/decode", json={"z": z.tolist()}),
        httpx.post(f"{adopting_server.url}/sample", json={"n": 3, "seed": 5}),
    ]
    for answer in answers:
        images = [pixels_of(base64.b64decode(item["b64_json"])) for item in answer.json()["data"]]
        assert_rounded(np.stack(images), levels(network, z))


@torch.inference_mode()
def test_encode_and_reconstruct_answer_as_the_network_does(
    adopting_server: LiveServer, network: foreign_vaes.ConvVAE
) -> None:
    pixels = noise(16, 16, 3)
    file = {"image": file_of(picture(pixels))}
    mu, log_var = network.encode(torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255)
    (item,) = httpx.post(f"{adopting_server.url}/encode", files=file).json()["data"]
    np.testing.assert_allclose(item["mu"], mu[0], atol=1e-4)
    np.testing.assert_allclose(item["log_var"], log_var[0], atol=1e-4)
    (item,) = httpx.post(f"{adopting_server.url}/reconstruct", files=file).json()["data"]
    reconstruction = pixels_of(base64.b64decode(item["b64_json"]))
    assert_rounded(reconstruction, levels(network, mu.numpy())[0])
