"""Several models: named in the body, in the query, or not at all."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from service.description import describe
from tests import tiny_vae
from tests.conftest import RunningApp
from tests.pictures import base64_body, file_of, noise, picture
from tests.service.api.problems import assert_problem

pytestmark = pytest.mark.anyio

FILE = file_of(picture(noise(8, 8, 3)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for name in ("blue", "green"):
        tiny_vae.save(folder / f"{name}.pt", name=name)
    return folder


@pytest.fixture(scope="module")
async def client(
    running_app: RunningApp, folder: Path, anyio_backend: str
) -> AsyncIterator[httpx.AsyncClient]:
    async with running_app(checkpoint=folder) as (_, client):
        yield client


async def call(client: httpx.AsyncClient, form: str, body: str | None, query: str | None) -> httpx.Response:
    """A request in one form of body, which names a model, or whose query does, or both."""
    named = {} if body is None else {"model": body}
    params = {} if query is None else {"model": query}
    if form == "sample":
        return await client.post("/sample", json=named, params=params)
    if form == "decode":
        return await client.post("/decode", json={"z": [[0, 0, 0, 0]], **named}, params=params)
    if form == "multipart":
        return await client.post("/encode", files={"image": FILE}, data=named, params=params)
    return await client.post("/reconstruct", json={**base64_body([FILE]), **named}, params=params)


@pytest.mark.parametrize("form", ["sample", "decode", "multipart", "base64"])
@pytest.mark.parametrize(
    ("body", "query", "served"),
    [
        (None, None, "blue"),
        ("green", None, "green"),
        (None, "green", "green"),
        ("green", "green", "green"),
        ("blue", None, "blue"),
    ],
)
async def test_the_model_that_was_named_answers(
    client: httpx.AsyncClient, folder: Path, form: str, body: str | None, query: str | None, served: str
) -> None:
    answer = await call(client, form, body, query)
    assert answer.status_code == 200, answer.text
    assert answer.json()["model"] == served
    version = describe(folder / f"{served}.pt").sha256[:12]
    assert answer.json()["model_version"] == answer.headers["x-model-version"] == version


async def test_a_raw_image_names_its_model_in_the_query(client: httpx.AsyncClient) -> None:
    answer = await client.post("/encode?model=green", content=FILE, headers={"content-type": "image/png"})
    assert answer.json()["model"] == "green"


@pytest.mark.parametrize("form", ["sample", "decode", "multipart", "base64"])
async def test_an_unknown_model_is_404_and_the_known_are_named(client: httpx.AsyncClient, form: str) -> None:
    assert_problem(await call(client, form, "red", None), 404, param="model", words="blue, green")
    assert_problem(await call(client, form, None, "red"), 404, param="model", words="blue, green")
    assert_problem(await call(client, form, "blue", "red"), 404, param="model", words="blue, green")
    assert_problem(await call(client, form, "red", "blue"), 404, param="model", words="blue, green")


@pytest.mark.parametrize("form", ["sample", "decode", "multipart", "base64"])
async def test_body_and_query_must_not_disagree(client: httpx.AsyncClient, form: str) -> None:
    assert_problem(await call(client, form, "blue", "green"), 422, param="model", words="query")


async def test_a_model_that_is_not_a_text_is_refused(client: httpx.AsyncClient) -> None:
    body = {**base64_body([FILE]), "model": 7}
    assert_problem(await client.post("/encode", json=body), 422, param="model", words="text")


async def test_every_model_is_listed_and_described(client: httpx.AsyncClient) -> None:
    listed = (await client.get("/models")).json()
    assert [model["name"] for model in listed["data"]] == ["blue", "green"]
    assert listed["default"] == "blue"
    assert (await client.get("/models/green")).json() == listed["data"][1]
    assert_problem(await client.get("/models/red"), 404, param="model", words="blue, green")


async def test_the_default_is_the_one_of_the_settings(running_app: RunningApp, folder: Path) -> None:
    async with running_app(checkpoint=folder, default_model="green") as (_, client):
        assert (await client.post("/sample", json={})).json()["model"] == "green"
