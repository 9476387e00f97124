"""POST /decode: latents to images in every form, and every wrong shape."""

import base64
import io
import zipfile

import httpx
import numpy as np
import pytest

from service.vae.noise import draw_noise
from tests import tiny_vae
from tests.pictures import pixels_of
from tests.service.api.problems import assert_problem

pytestmark = pytest.mark.anyio

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize("num", [1, 2, 64])
async def test_latents_become_images_in_order(client: httpx.AsyncClient, num: int) -> None:
    z = draw_noise(4, num, 4)
    answer = await client.post("/decode", json={"z": z.tolist()})
    assert answer.status_code == 200
    assert "seed" not in answer.json()
    assert "x-seed" not in answer.headers
    files = [base64.b64decode(item["b64_json"]) for item in answer.json()["data"]]
    for file, image in zip(files, tiny_vae.decoded(z), strict=True):
        np.testing.assert_array_equal(pixels_of(file), image)


async def test_whole_numbers_are_numbers(client: httpx.AsyncClient) -> None:
    answer = await client.post("/decode", json={"z": [[0, 1, -1, 2]]}, headers={"accept": "image/png"})
    np.testing.assert_array_equal(pixels_of(answer.content), tiny_vae.decoded([[0, 1, -1, 2]])[0])


async def test_a_sheet_and_a_zip_are_given_too(client: httpx.AsyncClient) -> None:
    z = draw_noise(4, 3, 4)
    sheet = await client.post("/decode", json={"z": z.tolist()}, headers={"accept": "image/*"})
    assert sheet.headers["x-layout"] == "grid"
    assert pixels_of(sheet.content).shape == (16, 16, 3)
    packed = await client.post("/decode", json={"z": z.tolist()}, headers={"accept": "application/zip"})
    archive = zipfile.ZipFile(io.BytesIO(packed.content))
    assert archive.namelist() == [f"decode_{index:03d}.png" for index in range(3)] + ["manifest.json"]
    np.testing.assert_array_equal(pixels_of(archive.read("decode_001.png")), tiny_vae.decoded(z)[1])


@pytest.mark.parametrize(
    ("content", "status", "param", "words"),
    [
        ("{}", 422, "z", "list"),
        ('{"z": null}', 422, "z", "1 to 64 lists of 4 numbers, got nothing"),
        ('{"z": []}', 422, "z", "1 to 64 lists of 4 numbers, got a list of 0"),
        (f'{{"z": {[[0.0] * 4] * 65}}}', 422, "z", "1 to 64 lists of 4 numbers, got a list of 65"),
        ("{}", 422, "z", "z is missing; it must be a list of lists of numbers"),
        ('{"latents": [[0, 0, 0, 0]]}', 422, "latents", "there is no field 'latents'; there are .*z, model"),
        ('{"z": [1, 2.5]}', 422, "z[0]", r"4 numbers, got 1; z is a list of latents, \[\[\.\.\.\], "),
        (f'{{"z": {[0.5] * 65}}}', 422, "z[0]", "4 numbers, got 0.5; z is a list of latents"),
        ('{"z": ["abc"]}', 422, "z[0]", "4 numbers, got 'abc'; z is a list of latents"),
        ('{"z": 5}', 422, "z", "1 to 64 lists of 4 numbers, got 5$"),
        ('{"z": [[1, 2, 3]]}', 422, "z[0]", "4 numbers, got a list of 3"),
        ('{"z": [[1, 2, 3, 4], [1, 2, 3, 4, 5]]}', 422, "z[1]", "4 numbers, got a list of 5"),
        ('{"z": [[1, 2, 3, "4"]]}', 422, "z[0]", "numbers"),
        ('{"z": [[1, 2, 3, null]]}', 422, "z[0]", "numbers"),
        ('{"z": [[1, 2, 3, true]]}', 422, "z[0]", "numbers"),
        ('{"z": [[1, 2, 3, 1e39]]}', 422, "z[0]", "finite"),
        ('{"z": [[1, 2, 3, 1e400]]}', 422, None, "number"),
        ('{"z": [[1, 2, 3, NaN]]}', 422, None, "NaN"),
        ('{"z": [[1, 2, 3, -Infinity]]}', 422, None, "-Infinity"),
        ('{"z": [[1, 2, 3, 4]], "n": 1}', 422, "n", "there are output_format, z"),
        ('{"z": [[1, 2, 3, 4]], "output_format": "bmp"}', 422, "output_format", "png"),
        ('{"z": [[1, 2, 3, 4]], "model": "other"}', 404, "model", "tiny"),
        ("", 422, "z", "list"),
        ("[[1, 2, 3, 4]]", 422, None, "JSON object"),
        ('{"z": [[1, 2', 400, None, "not JSON"),
    ],
)
async def test_a_wrong_body_is_refused_and_the_next_request_works(
    client: httpx.AsyncClient, content: str, status: int, param: str | None, words: str
) -> None:
    answer = await client.post("/decode", content=content, headers=JSON)
    assert_problem(answer, status, param=param, words=words)
    assert (await client.post("/decode", json={"z": [[0, 0, 0, 0]]})).status_code == 200


async def test_a_missing_content_type_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/decode", content=b'{"z": [[0, 0, 0, 0]]}')
    words = "application/x-npy, got no Content-Type; set its Content-Type, with curl -H 'content-type: app"
    assert_problem(answer, 415, param="Content-Type", words=words)


async def test_a_form_that_cannot_be_given_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/decode", json={"z": [[0, 0, 0, 0]]}, headers={"accept": "text/html"})
    assert_problem(answer, 406, param="Accept", words="image/png")
