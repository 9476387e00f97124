"""What /sample draws from: the fitted prior where the checkpoint has one, else the standard normal."""

import io
import json
import zipfile
from collections.abc import AsyncIterator

import httpx
import numpy as np
import pytest
from PIL import Image

from service.prior import Mixture
from service.vae.sampling import draw_latents
from tests import tiny_vae
from tests.conftest import RunningApp
from tests.pictures import pixels_of
from tests.service.api.problems import assert_problem
from tests.service.api.test_sample import files_of

pytestmark = pytest.mark.anyio

MIXTURE = Mixture(tiny_vae.PRIOR_WEIGHTS, tiny_vae.PRIOR_MEANS, tiny_vae.PRIOR_FACTORS)


@pytest.fixture(scope="module")
async def client(
    running_app: RunningApp, tmp_path_factory: pytest.TempPathFactory, anyio_backend: str
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an app with two models, the default one with a fitted prior."""
    folder = tmp_path_factory.mktemp("models")
    tiny_vae.save(folder / "a.pt", name="fitted", module=tiny_vae.FittedVAE(), prior="fitted")
    tiny_vae.save(folder / "b.pt", name="plain")
    async with running_app(checkpoint=folder) as (_, client):
        yield client


def drawn(prior: str, num: int, temperature: float = 1.0) -> np.ndarray:
    mixture = MIXTURE if prior == "fitted" else None
    return tiny_vae.decoded(draw_latents(mixture, 4, seed=42, num=num, temperature=temperature))


@pytest.mark.parametrize(
    ("body", "prior"),
    [
        ({}, "fitted"),
        ({"prior": None}, "fitted"),
        ({"prior": "fitted"}, "fitted"),
        ({"prior": "standard"}, "standard"),
        ({"model": "plain"}, "standard"),
        ({"model": "plain", "prior": "standard"}, "standard"),
        ({"temperature": 0.5}, "fitted"),
        ({"temperature": 0.5, "prior": "standard"}, "standard"),
    ],
)
async def test_images_come_of_the_prior_that_the_answer_names(
    client: httpx.AsyncClient, body: dict[str, object], prior: str
) -> None:
    answer = await client.post("/sample", json={"n": 6, "seed": 42, **body})
    temperature = body.get("temperature", 1.0)
    assert (answer.json()["prior"], answer.json()["temperature"]) == (prior, temperature)
    expected = drawn(prior, 6, temperature)
    found = np.stack([pixels_of(file) for file in files_of(answer)]).astype(int)
    assert np.abs(found - expected).max() <= 1  # a tie at half a level may round the other way
    text = Image.open(io.BytesIO(files_of(answer)[1])).text
    assert (text["Prior"], text["Temperature"]) == (prior, str(temperature))


async def test_the_two_priors_give_different_images(client: httpx.AsyncClient) -> None:
    answers = [await client.post("/sample", json={"seed": 42, "prior": p}) for p in ("fitted", "standard")]
    assert files_of(answers[0]) != files_of(answers[1])


async def test_the_manifest_names_the_prior(client: httpx.AsyncClient) -> None:
    answer = await client.post("/sample", json={"seed": 42}, headers={"accept": "application/zip"})
    manifest = json.loads(zipfile.ZipFile(io.BytesIO(answer.content)).read("manifest.json"))
    assert (manifest["prior"], manifest["temperature"]) == ("fitted", 1.0)


async def test_a_prior_that_a_model_has_not_is_refused_naming_what_there_is(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.post("/sample", json={"model": "plain", "prior": "fitted"})
    assert_problem(
        answer, 422, param="prior", words="must be 'standard', got 'fitted': plain holds no fitted"
    )


@pytest.mark.parametrize("prior", ["normal", "", 5, ["fitted"]])
async def test_a_prior_that_there_is_not_is_refused_naming_those_there_are(
    client: httpx.AsyncClient, prior: object
) -> None:
    answer = await client.post("/sample", json={"prior": prior})
    assert_problem(answer, 422, param="prior", words="must be 'fitted' or 'standard', got")


async def test_image_i_is_the_same_for_any_n(client: httpx.AsyncClient) -> None:
    few, many = [files_of(await client.post("/sample", json={"n": n, "seed": 1})) for n in (3, 64)]
    assert few == many[:3]


async def test_the_models_say_which_prior_they_have(client: httpx.AsyncClient) -> None:
    models = (await client.get("/models")).json()["data"]
    assert [model["prior"] for model in models] == ["fitted", "standard"]
