"""Every form of an answer, read by the library that people would read it with."""

import io
import json
import tarfile

import httpx
import numpy as np
import pytest
from PIL import Image

from tests import tiny_vae
from tests.pictures import file_of, noise, picture, pixels_of
from tests.service.api.test_sample import files_of

pytestmark = pytest.mark.anyio

BODY = {"n": 5, "seed": 3}
FILE = file_of(picture(noise(8, 8, 3)))


async def drawn(client: httpx.AsyncClient, form: str) -> httpx.Response:
    answer = await client.post("/sample", json=BODY, headers={"accept": form})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == form
    return answer


async def test_npy_holds_the_pixels_of_the_png_files(client: httpx.AsyncClient) -> None:
    pixels = np.load(io.BytesIO((await drawn(client, "application/x-npy")).content), allow_pickle=False)
    assert pixels.dtype == np.uint8
    expected = [pixels_of(file) for file in files_of(await drawn(client, "application/json"))]
    np.testing.assert_array_equal(pixels, expected)


async def test_a_tar_holds_the_same_files_as_json_and_a_manifest(client: httpx.AsyncClient) -> None:
    content = (await drawn(client, "application/x-tar")).content
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        files = {entry.name: archive.extractfile(entry).read() for entry in archive}
    manifest = json.loads(files.pop("manifest.json"))
    assert manifest["seed"] == BODY["seed"]
    assert [entry["file"] for entry in manifest["data"]] == list(files)
    assert list(files.values()) == files_of(await drawn(client, "application/json"))
    assert (await drawn(client, "application/x-tar")).content == content


@pytest.mark.parametrize(("form", "kind"), [("image/jpeg", "JPEG"), ("image/webp", "WEBP")])
async def test_a_lossy_sheet_looks_like_the_png_one(client: httpx.AsyncClient, form: str, kind: str) -> None:
    answer = await drawn(client, form)
    assert answer.headers["x-layout"] == "grid"
    image = Image.open(io.BytesIO(answer.content))
    assert image.format == kind
    exact = pixels_of((await drawn(client, "image/png")).content).astype(float)
    assert image.size == (exact.shape[1], exact.shape[0])
    # Noise is the hardest there is; a black or shifted sheet would be off by 80 levels.
    assert np.abs(np.asarray(image.convert("RGB")) - exact).mean() < 40


async def test_posteriors_as_npy_are_those_of_json(client: httpx.AsyncClient) -> None:
    headers = {"content-type": "image/png"}
    answer = await client.post("/encode", content=FILE, headers={**headers, "accept": "application/x-npy"})
    mu, log_var = np.load(io.BytesIO(answer.content), allow_pickle=False)
    assert mu.dtype == np.float32
    assert mu.shape == (1, tiny_vae.LATENT_DIM)
    (item,) = (await client.post("/encode", content=FILE, headers=headers)).json()["data"]
    np.testing.assert_allclose([item["mu"], item["log_var"]], [mu[0], log_var[0]], rtol=1e-6)
