"""A network that gives numbers that are not finite: 500 from every operation that shows them, and counted."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from torch import Tensor

from tests import tiny_vae
from tests.conftest import RunningApp
from tests.pictures import base64_body, file_of, noise, picture
from tests.scrape import samples
from tests.service.api.problems import assert_problem

pytestmark = pytest.mark.anyio

BLACK, WHITE = (np.full((8, 8, 3), level, np.uint8) for level in (0, 255))
GOOD, NAN, INFINITE = (file_of(picture(image)) for image in (noise(8, 8, 3), WHITE, BLACK))
BAD_OUTPUTS = 'vae_device_failures_total{kind="bad_output"}'
FORMS = ["application/json", "image/png", "application/zip", "application/x-npy"]


class _Unstable(tiny_vae.TinyVAE):
    """Gives no number for a white picture, and of a black one a variance whose exponential is none."""

    @torch.jit.export
    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        red = images[:, 0].flatten(1).to(self.encode_weight.dtype)
        mu = ((red @ self.encode_weight).float() / 16.0 - 128.0) / 32.0
        log_var = self.log_var.float().expand(mu.size(0), 4).contiguous()
        is_white = (red == 255.0).all(dim=1, keepdim=True)
        is_black = (red == 0.0).all(dim=1, keepdim=True)
        mu = torch.where(is_white, torch.full_like(mu, float("nan")), mu)
        return mu, torch.where(is_black, torch.full_like(log_var, 1000.0), log_var)


@pytest.fixture(scope="module")
async def unstable(
    running_app: RunningApp, tmp_path_factory: pytest.TempPathFactory, anyio_backend: str
) -> AsyncIterator[httpx.AsyncClient]:
    path: Path = tmp_path_factory.mktemp("unstable") / "unstable.pt"
    tiny_vae.save(path, module=_Unstable())
    async with running_app(checkpoint=path) as (_, client):
        yield client


async def count(client: httpx.AsyncClient) -> float:
    return samples((await client.get("/metrics")).text)[BAD_OUTPUTS]


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/encode", "application/json"),
        ("/encode", "application/x-npy"),
        ("/score", "application/json"),
        *[("/reconstruct", form) for form in FORMS],
        *[("/interpolate", form) for form in FORMS],
    ],
)
async def test_no_operation_gives_what_is_no_number(
    unstable: httpx.AsyncClient, path: str, form: str
) -> None:
    before = await count(unstable)
    headers = {"accept": form}
    answer = await unstable.post(path, json=base64_body([GOOD, NAN]), headers=headers)
    assert_problem(answer, 500, words="the device failed")
    assert answer.json()["type"] == "about:blank#inference-failed"
    assert await count(unstable) == before + 1
    answer = await unstable.post(path, json=base64_body([GOOD, GOOD]), headers=headers)
    assert answer.status_code == 200
    assert await count(unstable) == before + 1


@pytest.mark.parametrize("path", ["/score", "/reconstruct"])
async def test_no_operation_gives_an_infinite_figure(unstable: httpx.AsyncClient, path: str) -> None:
    before = await count(unstable)
    assert_problem(await unstable.post(path, json=base64_body([INFINITE])), 500)
    assert await count(unstable) == before + 1


async def test_the_inference_protocol_gives_what_is_no_number_neither(unstable: httpx.AsyncClient) -> None:
    before = await count(unstable)
    tensor = {"name": "images", "datatype": "UINT8", "shape": [1, 8, 8, 3], "data": WHITE.flatten().tolist()}
    answer = await unstable.post(f"/v2/models/{tiny_vae.NAME}/infer", json={"inputs": [tensor]})
    assert answer.status_code == 500
    assert await count(unstable) == before + 1
