"""POST /score: every figure by hand, the same for an image whatever it is sent with, and every refusal."""

from collections.abc import AsyncIterator

import httpx
import numpy as np
import pytest
import torch

from service import checkpoint
from service.metadata import Provenance
from service.scoring.distribution import score_distribution
from service.scoring.measurement import fixed_signs
from service.scripted import as_vae
from tests import tiny_vae
from tests.conftest import RunningApp
from tests.pictures import base64_body, file_of, noise, picture
from tests.service.api.problems import assert_problem
from tests.service.api.test_forms import npy

pytestmark = pytest.mark.anyio

IMAGES = np.stack([noise(8, 8, 3, seed) for seed in range(64)])
FILES = [file_of(picture(image)) for image in IMAGES]
NPY = {"content-type": "application/x-npy"}
FIGURES = {"index", "elbo", "rate", "distortion", "mse", "anomaly", "percentile"}


def decoded_with_noise(num: int, seed: int) -> np.ndarray:
    """Images that are flat quadrants with a little noise: uint8 (N, 8, 8, 3)."""
    random = np.random.default_rng(seed)
    pixels = tiny_vae.decoded(random.normal(size=(num, 4)).astype(np.float32)).astype(int)
    return np.clip(pixels + random.integers(-9, 10, pixels.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
async def scored(
    running_app: RunningApp, tmp_path_factory: pytest.TempPathFactory, anyio_backend: str
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an app whose models differ in what they know of their likelihood and their scores."""
    folder = tmp_path_factory.mktemp("models")
    path = tiny_vae.save(folder / "a.pt", name="known", module=tiny_vae.FittedVAE(), prior="fitted")
    loaded = checkpoint.load(path)
    images = torch.from_numpy(decoded_with_noise(500, 0)).permute(0, 3, 1, 2)
    scores = score_distribution(as_vae(loaded.module), images, loaded.metadata, prior=loaded.prior)
    checkpoint.replace_metadata(path, loaded.metadata.model_copy(update={"scores": scores}))
    tiny_vae.save(folder / "b.pt", name="unscaled", likelihood_scale=None)
    tiny_vae.save(folder / "c.pt", name="binary", likelihood="bernoulli", likelihood_scale=None)
    tiny_vae.save(folder / "d.pt", name="logits", module=tiny_vae.LogitsVAE())
    adopted = Provenance(origin="adopted", command="by hand")
    unknown = {"likelihood": None, "likelihood_scale": None, "provenance": adopted}
    tiny_vae.save(folder / "e.pt", name="adopted", **unknown)
    async with running_app(checkpoint=folder) as (_, client):
        yield client


async def score(client: httpx.AsyncClient, images: np.ndarray, **params: str) -> list[dict[str, float]]:
    answer = await client.post("/score", content=npy(images), headers=NPY, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def test_every_figure_is_as_computed_by_hand(client: httpx.AsyncClient) -> None:
    answer = await client.post("/score", json=base64_body(FILES[:3]))
    body = answer.json()
    assert body["model"] == tiny_vae.NAME
    assert body["model_version"] == answer.headers["x-model-version"]
    sigma, log_var = tiny_vae.LIKELIHOOD_SCALE, np.array(tiny_vae.LOG_VAR)
    mu = tiny_vae.encoded_mu(IMAGES[:3]).astype(float)
    rate = 0.5 * (mu**2 + np.exp(log_var) - 1 - log_var).sum(axis=1)
    offset = np.exp(0.5 * log_var) * fixed_signs(4).numpy()
    distortion = np.zeros(3)
    for z in (mu + offset, mu - offset):
        errors = IMAGES[:3] / 255 - tiny_vae.decoded(z.astype(np.float32)) / 255
        costs = 0.5 * (errors**2 / sigma**2 + np.log(2 * np.pi * sigma**2))
        distortion += costs.sum(axis=(1, 2, 3)) / 2
    mse = np.square(IMAGES[:3] / 255 - tiny_vae.decoded(mu.astype(np.float32)) / 255).mean(axis=(1, 2, 3))
    for index, item in enumerate(body["data"]):
        assert set(item) == FIGURES
        assert item["index"] == index
        assert item["rate"] == pytest.approx(rate[index], rel=1e-4)
        # A tie at half a level may round the other way in a whole quadrant.
        assert item["distortion"] == pytest.approx(distortion[index], rel=1e-3)
        assert item["elbo"] == pytest.approx(-item["distortion"] - item["rate"], rel=1e-6)
        assert item["mse"] == pytest.approx(mse[index], rel=1e-3)
        assert item["anomaly"] is None
        assert item["percentile"] is None


async def test_images_of_the_models_own_kind_have_middling_percentiles_and_others_high_ones(
    scored: httpx.AsyncClient,
) -> None:
    own = await score(scored, decoded_with_noise(64, 1))
    percentiles = [item["percentile"] for item in own]
    # Uniform between 0 and 100, whose mean has a standard error of 100 / sqrt(12 * 64) = 3.6.
    assert 50 - 5 * 3.6 < np.mean(percentiles) < 50 + 5 * 3.6
    assert np.mean([item["anomaly"] for item in own]) == pytest.approx(3, abs=1.5)
    flat = np.full((1, 8, 8, 3), 250, np.uint8)
    for strange in (IMAGES[:20], decoded_with_noise(20, 2)[:, ::-1, :, ::-1], flat):
        for item in await score(scored, strange):
            assert item["percentile"] > 99
            assert item["anomaly"] > 7


async def test_an_image_has_the_same_score_whatever_it_is_sent_with(scored: httpx.AsyncClient) -> None:
    images = np.concatenate([decoded_with_noise(32, 3), IMAGES[:32]])
    together = await score(scored, images)
    backwards = (await score(scored, images[::-1]))[::-1]
    for index in range(0, 64, 7):
        (alone,) = await score(scored, images[index : index + 1])
        expected = {**alone, "index": 0}
        assert {**together[index], "index": 0} == expected
        assert {**backwards[index], "index": 0} == expected


async def test_a_checkpoint_that_says_what_it_rounds_is_scored_without_rounding(
    scored: httpx.AsyncClient,
) -> None:
    images = decoded_with_noise(10, 4)
    rounded, exact = [await score(scored, images, model=name) for name in ("known", "logits")]
    for one, other in zip(rounded, exact, strict=True):
        assert one["mse"] != other["mse"]
        assert one["mse"] == pytest.approx(other["mse"], rel=0.05)


async def test_grey_pixels_are_drawn_for_a_binary_likelihood_as_training_draws_them(
    scored: httpx.AsyncClient,
) -> None:
    black, white = np.zeros((1, 8, 8, 3), np.uint8), np.full((1, 8, 8, 3), 255, np.uint8)
    for image in (black, white):
        (item,) = await score(scored, image, model="binary")
        assert np.isfinite(item["elbo"])
    grey = np.full((1, 8, 8, 3), 128, np.uint8)
    (first,), (again,) = [await score(scored, grey, model="binary") for _ in range(2)]
    assert first == again
    # Half of the pixels are white: no single mean explains them better than 1/2, at log 2 each.
    assert first["distortion"] > 0.6 * 192 * np.log(2)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("unscaled", "holds no likelihood_scale; export it again with `python -m training export`"),
        ("adopted", "holds no likelihood; adopt it again with `vae-service adopt .* --likelihood NAME"),
    ],
)
async def test_a_model_that_does_not_know_its_likelihood_says_what_gives_it_one(
    scored: httpx.AsyncClient, model: str, words: str
) -> None:
    answer = await scored.post(f"/score?model={model}", content=npy(IMAGES[:1]), headers=NPY)
    assert_problem(answer, 422, param="model", words=f"{model} cannot score: its metadata {words}")


async def test_the_models_show_their_scores_and_buckets(scored: httpx.AsyncClient) -> None:
    models = {model["name"]: model for model in (await scored.get("/models")).json()["data"]}
    assert models["known"]["scores"]["num_images"] == 500
    assert len(models["known"]["scores"]["anomaly"]) == 101
    assert models["logits"]["scores"] is None
    assert models["logits"]["buckets"]["score"]
    assert set(models["unscaled"]["buckets"]) == {"decode", "encode", "reconstruct"}


async def test_scores_are_json_only(client: httpx.AsyncClient) -> None:
    for accept in ("image/png", "application/x-npy", "application/zip"):
        answer = await client.post("/score", json=base64_body(FILES[:1]), headers={"accept": accept})
        assert_problem(answer, 406, param="Accept", words="application/json")


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"images": []}, 422, "images"),
        ({"images": ["no base64!"]}, 400, "images[0]"),
        ({**base64_body(FILES[:1]), "model": "other"}, 404, "model"),
        (base64_body([*FILES, FILES[0]]), 422, "images"),
        (base64_body([FILES[0], FILES[1][:50]]), 400, "images[1]"),
    ],
)
async def test_a_wrong_body_is_refused(
    client: httpx.AsyncClient, body: dict[str, object], status: int, param: str
) -> None:
    assert_problem(await client.post("/score", json=body), status, param=param)
    assert (await client.post("/score", json=base64_body(FILES[:1]))).status_code == 200
