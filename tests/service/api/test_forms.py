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
from tests.service.api.problems import assert_problem
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


def npy(array: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, **options)
    return buffer.getvalue()


NPY = {"content-type": "application/x-npy"}
PIXELS = np.stack([noise(8, 8, 3, seed) for seed in range(3)])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
async def test_latents_as_npy_are_those_of_json(client: httpx.AsyncClient, dtype: type) -> None:
    z = np.random.default_rng(0).normal(size=(5, tiny_vae.LATENT_DIM)).astype(dtype)
    answer = await client.post("/decode", content=npy(z), headers=NPY)
    same = await client.post("/decode", json={"z": z.tolist()})
    assert files_of(answer) == files_of(same)
    assert len(files_of(answer)) == 5


@pytest.mark.parametrize("num_channels", [1, 2, 3, 4])
@pytest.mark.parametrize("side", [8, 20])
async def test_images_as_npy_are_those_of_png(
    client: httpx.AsyncClient, num_channels: int, side: int
) -> None:
    pixels = np.stack([noise(side, side + 2, num_channels, seed) for seed in range(3)])
    answer = await client.post("/encode", content=npy(pixels), headers=NPY)
    parts = [("image", ("a.png", file_of(picture(image)), "image/png")) for image in pixels]
    same = await client.post("/encode", files=parts)
    assert answer.json()["data"] == same.json()["data"]


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (b"", 400, "not an npy file"),
        (b"\x93NUMPY\x01\x00", 400, "not an npy file"),
        (b"\x93NUMPY\x03\x00" + bytes(200), 400, "not an npy file"),
        (npy(PIXELS)[:-1], 400, "not as long"),
        (npy(PIXELS) + b"x", 400, "not as long"),
        (npy(PIXELS).replace(b"(3, 8", b"(9, 8"), 400, "not as long"),
        (npy(PIXELS).replace(b"(3, 8", b"(-3,8"), 400, "not"),
        (npy(PIXELS).replace(b"'|u1'", b"'|O' "), 422, "uint8"),
        (npy(PIXELS.astype(np.float32)), 422, "got float32 of 4 axes"),
        (npy(PIXELS[0]), 422, "got uint8 of 3 axes"),
        (npy(np.asfortranarray(PIXELS)), 422, "in Fortran order"),
        (npy(np.zeros((0, 8, 8, 3), np.uint8)), 422, "1 to 64"),
        (npy(np.zeros((65, 1, 1, 1), np.uint8)), 422, "1 to 64"),
        (npy(np.zeros((1, 0, 8, 3), np.uint8)), 422, "at least a pixel"),
        (npy(np.zeros((1, 8, 8, 5), np.uint8)), 422, "1 to 4 channels"),
        (npy(np.zeros((1, 1, 9001, 1), np.uint8)), 413, "at most 8192 a side"),
        (npy(np.array([{}], dtype=object), allow_pickle=True), 422, "uint8"),
    ],
)
async def test_an_array_that_is_wrong_is_refused(
    client: httpx.AsyncClient, content: bytes, status: int, words: str
) -> None:
    answer = await client.post("/encode", content=content, headers=NPY)
    assert_problem(answer, status, param=answer.json()["param"], words=words)


@pytest.mark.parametrize(
    ("z", "words"),
    [
        (np.zeros((1, 5), np.float32), "1 to 64 x 4, got 1 x 5"),
        (np.zeros((0, 4), np.float32), "1 to 64 x 4, got 0 x 4"),
        (np.zeros((65, 4), np.float32), "1 to 64 x 4, got 65 x 4"),
        (np.full((1, 4), np.nan, np.float32), "finite"),
        (np.full((1, 4), 1e300), "finite"),
        (np.zeros((1, 4), np.float16), "float32 or float64"),
        (np.zeros(4, np.float32), "got float32 of 1 axes"),
    ],
)
async def test_latents_that_are_wrong_are_refused(
    client: httpx.AsyncClient, z: np.ndarray, words: str
) -> None:
    answer = await client.post("/decode", content=npy(z), headers=NPY)
    assert_problem(answer, 422, param=answer.json()["param"], words=words)
