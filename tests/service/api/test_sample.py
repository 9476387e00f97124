"""POST /sample: every form of the answer, seeds, and every wrong body."""

import base64
import io
import json
import zipfile

import httpx
import numpy as np
import pytest
from PIL import Image

from service.vae.noise import MAX_SEED, draw_noise
from tests import tiny_vae
from tests.pictures import pixels_of
from tests.service.api.problems import assert_problem

pytestmark = pytest.mark.anyio

PNG = {"accept": "image/png"}
ZIP = {"accept": "application/zip"}


def files_of(answer: httpx.Response) -> list[bytes]:
    return [base64.b64decode(item["b64_json"]) for item in answer.json()["data"]]


async def test_an_empty_object_gives_one_image_and_the_seed_that_drew_it(client: httpx.AsyncClient) -> None:
    answer = await client.post("/sample", json={})
    body = answer.json()
    assert answer.status_code == 200
    assert body["model"] == tiny_vae.NAME
    assert body["output_format"] == "png"
    assert body["size"] == "8x8"
    assert body["model_version"] == answer.headers["x-model-version"]
    assert [item["index"] for item in body["data"]] == [0]
    assert set(body["data"][0]) == {"index", "b64_json"}
    again = await client.post("/sample", json={"seed": body["seed"]})
    assert files_of(again) == files_of(answer)


async def test_two_requests_without_a_seed_draw_different_ones(client: httpx.AsyncClient) -> None:
    seeds = [(await client.post("/sample", json={})).json()["seed"] for _ in range(2)]
    assert seeds[0] != seeds[1]


async def test_a_drawn_seed_is_a_whole_number_that_javascript_reads(client: httpx.AsyncClient) -> None:
    assert 0 <= (await client.post("/sample", json={})).json()["seed"] < 2**53


@pytest.mark.parametrize("seed", [0, 42, MAX_SEED])
async def test_images_are_the_decoded_noise_of_the_seed(client: httpx.AsyncClient, seed: int) -> None:
    answer = await client.post("/sample", json={"n": 5, "seed": seed})
    expected = tiny_vae.decoded(draw_noise(seed, 5, 4))
    assert answer.json()["seed"] == seed
    for file, image in zip(files_of(answer), expected, strict=True):
        np.testing.assert_array_equal(pixels_of(file), image)


@pytest.mark.parametrize("temperature", [0, 0.5, 2])
async def test_temperature_scales_the_noise(client: httpx.AsyncClient, temperature: float) -> None:
    answer = await client.post("/sample", json={"n": 2, "seed": 9, "temperature": temperature})
    expected = tiny_vae.decoded(draw_noise(9, 2, 4) * np.float32(temperature))
    for file, image in zip(files_of(answer), expected, strict=True):
        np.testing.assert_array_equal(pixels_of(file), image)


async def test_json_says_the_z_of_each_image_where_that_is_asked_for(client: httpx.AsyncClient) -> None:
    asked = {"n": 3, "seed": 9, "temperature": 0.5}
    answer = await client.post("/sample", json={**asked, "return_z": True})
    z = [item["z"] for item in answer.json()["data"]]
    np.testing.assert_array_equal(np.array(z, np.float32), draw_noise(9, 3, 4) * np.float32(0.5))
    again = await client.post("/decode", json={"z": z})
    for file, other in zip(files_of(again), files_of(answer), strict=True):
        np.testing.assert_array_equal(pixels_of(file), pixels_of(other))
    got = await client.get("/sample", params={**asked, "return_z": "true"})
    assert [item["z"] for item in got.json()["data"]] == z
    plain = await client.post("/sample", json=asked)
    assert all("z" not in item for item in plain.json()["data"])


async def test_a_picture_is_the_same_whether_z_is_asked_for_or_not(client: httpx.AsyncClient) -> None:
    asked = {"n": 2, "seed": 9}
    answers = [
        await client.post("/sample", json={**asked, "return_z": flag}, headers=PNG) for flag in (True, False)
    ]
    assert answers[0].content == answers[1].content


async def test_image_i_has_the_same_bytes_for_any_n(client: httpx.AsyncClient) -> None:
    few, many = [files_of(await client.post("/sample", json={"n": n, "seed": 42})) for n in (3, 64)]
    assert few == many[:3]


async def test_one_image_as_png_has_the_bytes_of_the_json_form(client: httpx.AsyncClient) -> None:
    as_png = await client.post("/sample", json={"seed": 42}, headers=PNG)
    as_json = await client.post("/sample", json={"seed": 42})
    assert as_png.headers["content-type"] == "image/png"
    assert "x-layout" not in as_png.headers
    assert [as_png.content] == files_of(as_json)


@pytest.mark.parametrize(("n", "rows", "columns"), [(2, 1, 2), (5, 2, 3), (16, 4, 4)])
async def test_many_images_as_png_are_one_contact_sheet(
    client: httpx.AsyncClient, n: int, rows: int, columns: int
) -> None:
    answer = await client.post("/sample", json={"n": n, "seed": 3}, headers=PNG)
    assert answer.headers["x-layout"] == "grid"
    sheet = pixels_of(answer.content)
    assert sheet.shape == (8 * rows, 8 * columns, 3)
    for index, image in enumerate(tiny_vae.decoded(draw_noise(3, n, 4))):
        top, left = 8 * (index // columns), 8 * (index % columns)
        np.testing.assert_array_equal(sheet[top : top + 8, left : left + 8], image)


async def test_a_zip_holds_one_stored_file_an_image_and_a_manifest(client: httpx.AsyncClient) -> None:
    answer = await client.post("/sample", json={"n": 3, "seed": 42}, headers=ZIP)
    assert answer.headers["content-type"] == "application/zip"
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    names = [f"sample_{index:03d}_seed42.png" for index in range(3)]
    assert archive.namelist() == [*names, "manifest.json"]
    assert archive.testzip() is None
    assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
    as_json = await client.post("/sample", json={"n": 3, "seed": 42})
    assert [archive.read(name) for name in names] == files_of(as_json)
    manifest = json.loads(archive.read("manifest.json"))
    assert manifest["seed"] == 42
    assert manifest["model"] == tiny_vae.NAME
    assert manifest["data"] == [{"index": index, "file": name} for index, name in enumerate(names)]


async def test_the_same_request_gives_the_same_zip(client: httpx.AsyncClient) -> None:
    first, second = [await client.post("/sample", json={"n": 2, "seed": 1}, headers=ZIP) for _ in range(2)]
    assert first.content == second.content


@pytest.mark.parametrize("headers", [{}, PNG, ZIP], ids=["json", "png", "zip"])
async def test_every_form_names_its_seed_in_a_header(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    answer = await client.post("/sample", json={"seed": 7}, headers=headers)
    assert answer.headers["x-seed"] == "7"


async def test_a_file_carries_its_seed_index_and_model(client: httpx.AsyncClient) -> None:
    answer = await client.post("/sample", json={"n": 2, "seed": 42})
    model = f"{tiny_vae.NAME} {answer.headers['x-model-version']}"
    texts = [Image.open(io.BytesIO(file)).text for file in files_of(answer)]
    drawn = {"Seed": "42", "Prior": "standard", "Temperature": "1.0"}
    assert texts == [{**drawn, "Index": str(index), "Model": model} for index in range(2)]


async def test_a_sheet_carries_its_seed_and_its_range(client: httpx.AsyncClient) -> None:
    answer = await client.post("/sample", json={"n": 4, "seed": 42}, headers=PNG)
    text = Image.open(io.BytesIO(answer.content)).text
    assert (text["Seed"], text["Index"]) == ("42", "0-3")


async def test_the_model_may_be_named(client: httpx.AsyncClient) -> None:
    assert (await client.post("/sample", json={"model": tiny_vae.NAME})).status_code == 200


async def test_an_empty_body_is_an_empty_object(client: httpx.AsyncClient) -> None:
    answer = await client.post("/sample", headers={"content-type": "application/json"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("content", "status", "param", "words"),
    [
        ('{"n": 0}', 422, "n", "between 1 and 64, got 0"),
        ('{"n": -1}', 422, "n", "between 1 and 64, got -1"),
        ('{"n": 1000}', 422, "n", "between 1 and 64, got 1000"),
        ('{"n": "16"}', 422, "n", "whole number between 1 and 64, got '16'"),
        ('{"n": 1.5}', 422, "n", "whole number"),
        ('{"n": true}', 422, "n", "whole number"),
        ('{"n": null}', 422, "n", "whole number"),
        ('{"n": 1e400}', 422, None, "number"),
        ('{"n": 99999999999999999999999999}', 422, "n", "between 1 and 64"),
        ('{"n": NaN}', 422, None, "NaN"),
        ('{"temperature": NaN}', 422, None, "NaN"),
        ('{"temperature": Infinity}', 422, None, "Infinity"),
        ('{"temperature": -Infinity}', 422, None, "-Infinity"),
        ('{"temperature": 3}', 422, "temperature", "between 0 and 2, got 3"),
        ('{"seed": -1}', 422, "seed", "between 0 and 18446744073709551615, got -1"),
        ('{"seed": 18446744073709551616}', 422, "seed", "between 0 and 18446744073709551615"),
        ('{"seed": "42"}', 422, "seed", "whole number"),
        ('{"output_format": "gif"}', 422, "output_format", "png"),
        ('{"unknown": 1}', 422, "unknown", "there are n, seed"),
        ("[]", 422, None, "must be a JSON object"),
        ("5", 422, None, "must be a JSON object"),
        ('{"model": "other"}', 404, "model", tiny_vae.NAME),
        ("{", 400, None, "not JSON"),
        ('{"n": 16', 400, None, "not JSON"),
        ("n=16", 400, None, "not JSON"),
        ("[" * 50_000, 400, None, "not JSON"),
    ],
)
async def test_a_wrong_body_is_refused_and_the_next_request_works(
    client: httpx.AsyncClient, content: str, status: int, param: str | None, words: str
) -> None:
    answer = await client.post("/sample", content=content, headers={"content-type": "application/json"})
    assert_problem(answer, status, param=param, words=words)
    assert (await client.post("/sample", json={})).status_code == 200


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/x-www-form-urlencoded", "image/png", "nonsense"]
)
async def test_another_content_type_is_refused_naming_what_is_taken(
    client: httpx.AsyncClient, content_type: str | None
) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    answer = await client.post("/sample", content=b'{"n": 2}', headers=headers)
    assert_problem(answer, 415, param="Content-Type", words="application/json")


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON"])
async def test_parameters_and_case_of_the_content_type_do_not_matter(
    client: httpx.AsyncClient, content_type: str
) -> None:
    answer = await client.post("/sample", content=b"{}", headers={"content-type": content_type})
    assert answer.status_code == 200


@pytest.mark.parametrize("accept", ["image/gif", "text/html", "image/png;q=0"])
async def test_a_form_that_cannot_be_given_is_refused_naming_those_that_can(
    client: httpx.AsyncClient, accept: str
) -> None:
    answer = await client.post("/sample", json={}, headers={"accept": accept})
    assert_problem(answer, 406, param="Accept", words="application/json, image/png, image/jpeg")


async def test_a_client_may_set_its_own_deadline(client: httpx.AsyncClient) -> None:
    answer = await client.post("/sample", json={}, headers={"X-Request-Timeout-Ms": "20000"})
    assert answer.status_code == 200
    answer = await client.post("/sample", json={}, headers={"X-Request-Timeout-Ms": "0.001"})
    assert_problem(answer, 504, words="deadline")


@pytest.mark.parametrize("sent", ["0", "-1", "soon", "nan", "1e9", ""])
async def test_a_deadline_that_is_no_number_of_milliseconds_is_named(
    client: httpx.AsyncClient, sent: str
) -> None:
    answer = await client.post("/sample", json={}, headers={"X-Request-Timeout-Ms": sent})
    assert_problem(answer, 422, param="X-Request-Timeout-Ms", words="milliseconds")
