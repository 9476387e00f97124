"""POST /interpolate: from seed, latent or image to another, in every form, and every wrong body."""

import io
import json
import zipfile
from collections.abc import AsyncIterator

import httpx
import numpy as np
import pytest
from PIL import Image

from service.prior import Mixture
from service.vae.noise import MAX_SEED, draw_noise
from service.vae.sampling import draw_latents
from tests import tiny_vae
from tests.conftest import RunningApp
from tests.pictures import base64_body, file_of, picture, pixels_of
from tests.service.api.problems import assert_problem
from tests.service.api.test_forms import npy
from tests.service.api.test_sample import files_of

pytestmark = pytest.mark.anyio

NPY = {"content-type": "application/x-npy"}
Z = np.array([[0.5, -1, 0.25, 0], [-0.5, 1, 1.5, -2]], np.float32)
IMAGES = tiny_vae.decoded(Z)
FILES = [file_of(picture(image)) for image in IMAGES]
PARTS = [("image", (f"{index}.png", file, "image/png")) for index, file in enumerate(FILES)]


def seed_z(seed: int) -> np.ndarray:
    return draw_noise(seed, 1, 4)[0]


def turned(start: np.ndarray, end: np.ndarray, steps: int) -> np.ndarray:
    """Slerp by its formula, the angle from its cosine: (S, D)."""
    start, end = start.astype(float), end.astype(float)
    angle = np.arccos(start @ end / np.linalg.norm(start) / np.linalg.norm(end))
    share = np.linspace(0, 1, steps)[:, None]
    z = np.sin((1 - share) * angle) * start + np.sin(share * angle) * end
    return (z / np.sin(angle)).astype(np.float32)


def straight(start: np.ndarray, end: np.ndarray, steps: int) -> np.ndarray:
    share = np.linspace(0, 1, steps, dtype=np.float32)[:, None]
    return (1 - share) * start + share * end


def assert_images(answer: httpx.Response, z: np.ndarray) -> None:
    assert answer.status_code == 200, answer.text
    found = np.stack([pixels_of(file) for file in files_of(answer)]).astype(int)
    assert np.abs(found - tiny_vae.decoded(z)).max() <= 1  # a tie at half a level may round the other way


@pytest.mark.parametrize("steps", [2, 5, 64])
@pytest.mark.parametrize(
    ("start", "end", "named"),
    [
        (3, 4, ("seed 3", "seed 4")),
        (3, Z[1].tolist(), ("seed 3", "z")),
        (Z[0].tolist(), 4.0, ("z", "seed 4")),
    ],
)
async def test_seeds_and_latents_are_turned_from_one_to_the_other(
    client: httpx.AsyncClient, start: object, end: object, named: tuple[str, str], steps: int
) -> None:
    answer = await client.post("/interpolate", json={"from": start, "to": end, "steps": steps})
    ends = [np.float32(value) if isinstance(value, list) else seed_z(int(value)) for value in (start, end)]
    assert_images(answer, turned(*ends, steps))
    body = answer.json()
    assert (body["from"], body["to"], body["mode"]) == (*named, "slerp")
    assert body["prior"] == "standard"
    assert [item["index"] for item in body["data"]] == list(range(steps))
    assert "x-seed" not in answer.headers


async def test_eight_steps_are_taken_where_nothing_is_said(client: httpx.AsyncClient) -> None:
    answer = await client.post("/interpolate", json={"from": 0, "to": MAX_SEED})
    assert_images(answer, turned(seed_z(0), seed_z(MAX_SEED), 8))


async def test_the_straight_way_may_be_asked_for(client: httpx.AsyncClient) -> None:
    answer = await client.post("/interpolate", json={"from": 1, "to": 2, "steps": 5, "mode": "linear"})
    assert_images(answer, straight(seed_z(1), seed_z(2), 5))
    assert answer.json()["mode"] == "linear"


@pytest.mark.parametrize("end", [[0.0] * 4, (-Z[0]).tolist(), (2 * Z[0]).tolist(), Z[0].tolist()])
async def test_where_there_is_no_angle_the_way_is_straight_and_says_so(
    client: httpx.AsyncClient, end: list[float]
) -> None:
    answer = await client.post("/interpolate", json={"from": Z[0].tolist(), "to": end, "steps": 4})
    assert_images(answer, straight(Z[0], np.float32(end), 4))
    assert answer.json()["mode"] == "linear"
    assert "prior" not in answer.json()


async def test_the_ends_are_the_bytes_of_sample_and_decode(client: httpx.AsyncClient) -> None:
    answer = await client.post("/interpolate", json={"from": 3, "to": Z[1].tolist(), "steps": 6})
    sample = await client.post("/sample", json={"seed": 3}, headers={"accept": "image/png"})
    decode = await client.post("/decode", json={"z": Z[1:].tolist()}, headers={"accept": "image/png"})
    first, *_, last = files_of(answer)
    np.testing.assert_array_equal(pixels_of(first), pixels_of(sample.content))
    np.testing.assert_array_equal(pixels_of(last), pixels_of(decode.content))


async def send(client: httpx.AsyncClient, way: str, **options: object) -> httpx.Response:
    """Two images with options, in the body where it has a place for them."""
    match way:
        case "multipart":
            return await client.post("/interpolate", files=PARTS, data=options)
        case "multipart query":
            return await client.post("/interpolate", files=PARTS, params=options)
        case "json":
            return await client.post("/interpolate", json={**base64_body(FILES), **options})
        case "json query":
            return await client.post("/interpolate", json=base64_body(FILES), params=options)
    return await client.post("/interpolate", content=npy(IMAGES), headers=NPY, params=options)


every_way = pytest.mark.parametrize("way", ["multipart", "multipart query", "json", "json query", "npy"])


@every_way
async def test_images_are_encoded_and_the_way_between_them_decoded(
    client: httpx.AsyncClient, way: str
) -> None:
    answer = await send(client, way)
    mu = tiny_vae.encoded_mu(IMAGES)
    assert_images(answer, turned(*mu, 8))
    body = answer.json()
    assert (body["from"], body["to"], body["mode"]) == ("image", "image", "slerp")
    reconstructed = await client.post("/reconstruct", content=npy(IMAGES), headers=NPY)
    ends = [pixels_of(files_of(answer)[index]) for index in (0, -1)]
    np.testing.assert_array_equal(ends, [pixels_of(file) for file in files_of(reconstructed)])


@every_way
async def test_options_go_with_images(client: httpx.AsyncClient, way: str) -> None:
    answer = await send(client, way, steps=3, mode="linear", output_format="webp", model=tiny_vae.NAME)
    assert answer.status_code == 200, answer.text
    assert [Image.open(io.BytesIO(file)).format for file in files_of(answer)] == ["WEBP"] * 3
    assert (answer.json()["mode"], answer.json()["output_format"]) == ("linear", "webp")


@every_way
@pytest.mark.parametrize(
    ("options", "param", "words"),
    [
        ({"steps": 1}, "steps", "steps must be between 2 and 64, got 1"),
        ({"steps": 65}, "steps", "between 2 and 64, got 65"),
        ({"steps": "many"}, "steps", "whole number between 2 and 64, got 'many'"),
        ({"mode": "cubic"}, "mode", "'slerp' or 'linear', got 'cubic'"),
        ({"output_format": "gif"}, "output_format", "'png', 'jpeg' or 'webp'"),
    ],
)
async def test_wrong_options_are_named(
    client: httpx.AsyncClient, way: str, options: dict[str, object], param: str, words: str
) -> None:
    assert_problem(await send(client, way, **options), 422, param=param, words=words)


@pytest.mark.parametrize("num", [1, 3])
async def test_there_must_be_two_images(client: httpx.AsyncClient, num: int) -> None:
    files = (FILES * 2)[:num]
    words = f"must be 2 images, got {'more than 2' if num > 2 else num}"
    parts = [("image", file) for file in files]
    answer = await client.post("/interpolate", files=parts)
    assert_problem(answer, 422, param="image", words=f"2 images, got {num}")
    answer = await client.post("/interpolate", json=base64_body(files))
    assert_problem(answer, 422, param="images", words=words.replace("more than 2", "3"))
    answer = await client.post("/interpolate", content=npy(IMAGES[:1].repeat(num, axis=0)), headers=NPY)
    assert_problem(answer, 422, param="images", words=f"2 images, got {num}")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["from", "to"], "image must be 2 images, got 0; there are fields 'from', 'to': send pictures as"),
        (["image", "other"], "image must be 2 images, got 1; there is a field 'other': send pictures as"),
        (["image"], "image must be 2 images, got 1$"),
    ],
)
async def test_images_in_fields_of_other_names_are_named(
    client: httpx.AsyncClient, names: list[str], words: str
) -> None:
    answer = await client.post("/interpolate", files=[(name, FILES[0]) for name in names])
    assert_problem(answer, 422, param="image", words=words)


async def test_one_picture_file_is_no_form_of_body(client: httpx.AsyncClient) -> None:
    answer = await client.post("/interpolate", content=FILES[0], headers={"content-type": "image/png"})
    assert_problem(
        answer, 415, param="Content-Type", words="multipart/form-data, application/json, application/x-npy"
    )


@pytest.mark.parametrize(
    ("body", "status", "param", "words"),
    [
        ({}, 422, "from", "from is missing; it must be a whole number or a list of numbers"),
        ({"from": 1}, 422, "to", "to is missing; it must be"),
        (
            {"from": -1, "to": 1},
            422,
            "from",
            "a seed between 0 and 18446744073709551615 or a list of 4 numbers",
        ),
        ({"from": 1, "to": 2**64}, 422, "to", "a seed between 0 and"),
        ({"from": 1.5, "to": 1}, 422, "from", "got 1.5"),
        ({"from": 1e300, "to": 1}, 422, "from", "a seed between"),
        ({"from": True, "to": 1}, 422, "from", "got true"),
        ({"from": "1", "to": 1}, 422, "from", "got '1'"),
        ({"from": None, "to": 1}, 422, "from", "got null"),
        ({"from": [0, 0, 0], "to": 1}, 422, "from", "a list of 4 numbers, got a list of 3"),
        ({"from": 1, "to": [[0, 0, 0, 0]]}, 422, "to", "4 numbers, got a list of 1"),
        ({"from": [0, 0, 0, "0"], "to": 1}, 422, "from", "numbers only"),
        ({"from": 1, "to": [0, 0, 0, 1e39]}, 422, "to", "finite numbers"),
        ({"from": 1, "to": 2, "steps": 0}, 422, "steps", "between 2 and 64, got 0"),
        ({"from": 1, "to": 2, "steps": 2.5}, 422, "steps", "whole number"),
        ({"from": 1, "to": 2, "mode": "cubic"}, 422, "mode", "'slerp' or 'linear', got 'cubic'"),
        (
            {"from": 1, "to": 2, "n": 2},
            422,
            "n",
            "there are output_format, steps, mode, from, to, prior, model",
        ),
        ({"from": 1, "to": 2, "prior": "fitted"}, 422, "prior", "holds no fitted prior"),
        ({"from": 1, "to": 2, "model": "other"}, 404, "model", "tiny"),
        ({**base64_body(FILES), "from": 1}, 422, "from", "no field 'from'; there are images, output_format"),
        ({**base64_body(FILES), "model": "other"}, 404, "model", "tiny"),
        (base64_body([FILES[0], FILES[1][:60]]), 400, "images[1]", "damaged"),
        ([], 422, None, "must be a JSON object"),
    ],
)
async def test_a_wrong_body_is_refused_and_the_next_request_works(
    client: httpx.AsyncClient, body: object, status: int, param: str | None, words: str
) -> None:
    assert_problem(await client.post("/interpolate", json=body), status, param=param, words=words)
    assert (await client.post("/interpolate", json={"from": 1, "to": 2})).status_code == 200


async def test_a_picture_carries_where_it_comes_from(client: httpx.AsyncClient) -> None:
    body = {"from": 3, "to": Z[1].tolist(), "steps": 3}
    answer = await client.post("/interpolate", json=body)
    text = Image.open(io.BytesIO(files_of(answer)[1])).text
    model = f"{tiny_vae.NAME} {answer.headers['x-model-version']}"
    way = {"From": "seed 3", "To": "z", "Mode": "slerp", "Prior": "standard"}
    assert text == {**way, "Index": "1", "Model": model}


async def test_a_sheet_a_zip_and_an_array_are_given_too(client: httpx.AsyncClient) -> None:
    body = {"from": 3, "to": 4, "steps": 4}
    sheet = await client.post("/interpolate", json=body, headers={"accept": "image/png"})
    assert sheet.headers["x-layout"] == "grid"
    assert pixels_of(sheet.content).shape == (16, 16, 3)
    packed = await client.post("/interpolate", json=body, headers={"accept": "application/zip"})
    archive = zipfile.ZipFile(io.BytesIO(packed.content))
    assert archive.namelist() == [f"interpolate_{index:03d}.png" for index in range(4)] + ["manifest.json"]
    manifest = json.loads(archive.read("manifest.json"))
    assert (manifest["from"], manifest["to"], manifest["mode"]) == ("seed 3", "seed 4", "slerp")
    array = await client.post("/interpolate", json=body, headers={"accept": "application/x-npy"})
    assert np.load(io.BytesIO(array.content)).shape == (4, 8, 8, 3)


@pytest.fixture(scope="module")
async def fitted(
    running_app: RunningApp, tmp_path_factory: pytest.TempPathFactory, anyio_backend: str
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an app whose model has a fitted prior, and whose requests may have a single image."""
    path = tmp_path_factory.mktemp("model") / "model.pt"
    tiny_vae.save(path, module=tiny_vae.FittedVAE(), prior="fitted")
    async with running_app(checkpoint=path, max_images=1) as (_, client):
        yield client


@pytest.mark.parametrize("prior", [None, "fitted", "standard"])
async def test_a_seed_is_what_sample_draws_of_it(fitted: httpx.AsyncClient, prior: str | None) -> None:
    mixture = Mixture(tiny_vae.PRIOR_WEIGHTS, tiny_vae.PRIOR_MEANS, tiny_vae.PRIOR_FACTORS)
    answer = await fitted.post("/interpolate", json={"from": 8, "to": 9, "prior": prior})
    drawn = [
        draw_latents(None if prior == "standard" else mixture, 4, seed=seed, num=1)[0] for seed in (8, 9)
    ]
    assert_images(answer, np.stack(drawn))  # two steps, however few images a request may have
    assert answer.json()["prior"] == (prior or "fitted")


async def test_the_limit_on_steps_is_the_servers_own(fitted: httpx.AsyncClient) -> None:
    answer = await fitted.post("/interpolate", json={"from": 8, "to": 9, "steps": 3})
    assert_problem(answer, 422, param="steps", words="between 2 and 2, got 3")
