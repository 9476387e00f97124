"""What image files are in JSON, zip and tar: PNG, JPEG or WebP, in a field of the body or in the query."""

import io
import json
import tarfile
import zipfile

import httpx
import numpy as np
import pytest
from PIL import Image

from service.vae.noise import draw_noise
from tests import tiny_vae
from tests.pictures import base64_body, file_of, picture, pixels_of
from tests.service.api.problems import assert_problem
from tests.service.api.test_forms import npy
from tests.service.api.test_sample import files_of

pytestmark = pytest.mark.anyio

Z = draw_noise(7, 2, tiny_vae.LATENT_DIM)
IMAGES = tiny_vae.decoded(Z)
FILES = [file_of(picture(image)) for image in IMAGES]
SUFFIXES = {"png": "png", "jpeg": "jpg", "webp": "webp"}
NPY = {"content-type": "application/x-npy"}

every_format = pytest.mark.parametrize("output_format", list(SUFFIXES))
every_way = pytest.mark.parametrize(
    "way", ["sample", "decode", "decode npy", "json", "multipart", "json query", "multipart query", "npy"]
)


async def ask(
    client: httpx.AsyncClient, way: str, output_format: object, accept: str = "*/*"
) -> httpx.Response:
    """Two images, their format in the body, or, where that has no place for it, in the query."""
    field = {"output_format": output_format}
    headers = {"accept": accept}
    parts = [("image", file) for file in FILES]
    match way:
        case "sample":
            return await client.post("/sample", json={"n": 2, "seed": 7, **field}, headers=headers)
        case "decode":
            return await client.post("/decode", json={"z": Z.tolist(), **field}, headers=headers)
        case "decode npy":
            return await client.post("/decode", content=npy(Z), params=field, headers={**NPY, **headers})
        case "json":
            return await client.post("/reconstruct", json={**base64_body(FILES), **field}, headers=headers)
        case "json query":
            return await client.post("/reconstruct", json=base64_body(FILES), params=field, headers=headers)
        case "multipart":
            return await client.post("/reconstruct", files=parts, data=field, headers=headers)
        case "multipart query":
            return await client.post("/reconstruct", files=parts, params=field, headers=headers)
    return await client.post("/reconstruct", content=npy(IMAGES), params=field, headers={**NPY, **headers})


def assert_files(files: list[bytes], output_format: str) -> None:
    """Two files of the format that look like the images; flat quadrants lose little in any."""
    assert [Image.open(io.BytesIO(file)).format for file in files] == [output_format.upper()] * 2
    limit = 1 if output_format == "png" else 16
    for file, image in zip(files, IMAGES, strict=True):
        assert np.abs(pixels_of(file).astype(int) - image).mean() <= limit


@every_way
@every_format
async def test_json_holds_files_of_the_format(
    client: httpx.AsyncClient, way: str, output_format: str
) -> None:
    answer = await ask(client, way, output_format)
    assert answer.status_code == 200, answer.text
    assert answer.json()["output_format"] == output_format
    assert_files(files_of(answer), output_format)


@pytest.mark.parametrize("way", ["sample", "decode", "json"])
@every_format
async def test_zip_and_tar_hold_files_of_the_format_under_its_suffix(
    client: httpx.AsyncClient, way: str, output_format: str
) -> None:
    packed = zipfile.ZipFile(io.BytesIO((await ask(client, way, output_format, "application/zip")).content))
    *names, manifest = packed.namelist()
    assert {name.rpartition(".")[2] for name in names} == {SUFFIXES[output_format]}
    listed = json.loads(packed.read(manifest))["data"]
    assert [entry["file"] for entry in listed] == names
    assert_files([packed.read(name) for name in names], output_format)
    content = (await ask(client, way, output_format, "application/x-tar")).content
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        assert archive.getnames() == [*names, manifest]
        assert_files([archive.extractfile(name).read() for name in names], output_format)


@every_way
@every_format
async def test_accept_decides_what_a_picture_is_and_leaves_it_to_the_format_where_it_does_not_care(
    client: httpx.AsyncClient, way: str, output_format: str
) -> None:
    for accept in ("image/png", "image/jpeg", "image/webp"):
        answer = await ask(client, way, output_format, accept)
        assert answer.headers["content-type"] == accept
    for accept in ("image/*", "image/avif, image/*;q=0.5, */*;q=0.1"):
        answer = await ask(client, way, output_format, accept)
        assert answer.headers["content-type"] == f"image/{output_format}"


@every_way
@pytest.mark.parametrize("output_format", ["gif", "PNG", ""])
async def test_another_format_is_refused_naming_those_there_are(
    client: httpx.AsyncClient, way: str, output_format: str
) -> None:
    answer = await ask(client, way, output_format)
    assert_problem(answer, 422, param="output_format", words="must be 'png', 'jpeg' or 'webp', got")


@pytest.mark.parametrize("path", ["/reconstruct", "/decode"])
async def test_the_query_counts_where_the_body_says_nothing(client: httpx.AsyncClient, path: str) -> None:
    body = base64_body(FILES) if path == "/reconstruct" else {"z": Z.tolist()}
    said = {**body, "output_format": "png"}
    assert (await client.post(f"{path}?output_format=jpeg", json=said)).json()["output_format"] == "png"
    assert (await client.post(f"{path}?output_format=jpeg", json=body)).json()["output_format"] == "jpeg"
    answer = await client.post(f"{path}?output_format=gif", json=said)
    assert_problem(answer, 422, param="output_format", words="must be 'png', 'jpeg' or 'webp', got 'gif'")


async def test_the_query_must_not_disagree_with_itself(client: httpx.AsyncClient) -> None:
    answer = await client.post("/decode?output_format=jpeg&output_format=png", json={"z": Z.tolist()})
    assert_problem(answer, 422, param="output_format", words="given twice")
