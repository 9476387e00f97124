"""Every cell of the contract's tables: each operation in each form, from each form of body, with each error.

What the answers hold is tested operation by operation elsewhere; here none may be missing.
"""

import asyncio
import io
import json
import tarfile
import zipfile
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tests import tiny_vae
from tests.conftest import RunningApp
from tests.pictures import base64_body, file_of, noise, picture
from tests.service.api.problems import assert_problem
from tests.service.api.test_forms import npy

pytestmark = pytest.mark.anyio

JSON, ZIP, TAR, NPY = "application/json", "application/zip", "application/x-tar", "application/x-npy"
PICTURES = ("image/png", "image/jpeg", "image/webp")
FORMS = (JSON, *PICTURES, ZIP, TAR, NPY)
IMAGES = np.stack([noise(8, 8, 3, seed) for seed in range(2)])
FILES = [file_of(picture(image)) for image in IMAGES]
KEY = "the-key"
# What the device of the fragile model fails on: a latent, and the red that is encoded to it.
POISON = 3.96875
POISONED = np.full((2, 8, 8, 3), 128 + 32 * POISON, np.uint8)

Body = Mapping[str, object]


@dataclass(frozen=True)
class Row:
    """An operation of the contract's table.

    Attributes:
        method: HTTP's.
        path: With its query.
        body: What makes two items of it, as httpx takes it.
        forms: Those of its answer.
        poison: A body that makes the device fail.
        bodies: The forms of body that it takes, without that of `body`.
    """

    method: str
    path: str
    body: Body
    forms: tuple[str, ...]
    poison: Body = field(default_factory=dict)
    bodies: Mapping[str, Body] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.method} {self.path.partition('?')[0]}"


def images_as(num: int) -> dict[str, Body]:
    """Images in each form of body."""
    parts = [("image", (f"{index}.png", file, "image/png")) for index, file in enumerate(FILES[:num])]
    raw = {
        f"image/{kind}": {
            "content": file_of(picture(IMAGES[0]), kind.upper()),
            "headers": {"content-type": f"image/{kind}"},
        }
        for kind in ("png", "jpeg", "webp", "bmp")
    }
    several = {
        "multipart/form-data": {"files": parts},
        NPY: {"content": npy(IMAGES[:num]), "headers": {"content-type": NPY}},
    }
    return several if num == 2 else {**raw, **several}


def array(values: np.ndarray) -> Body:
    return {"content": npy(values), "headers": {"content-type": NPY}}


IMAGE_BODY: Body = {"json": base64_body(FILES)}
Z = [[0.5, 0, 0, 0], [0, 0.5, 0, 0]]
POISON_Z = [POISON, 0, 0, 0]
ROWS = [
    Row("POST", "/sample", {"json": {"n": 2, "seed": 7}}, FORMS),
    Row("GET", "/sample?n=2&seed=7", {}, FORMS),
    Row(
        "POST",
        "/decode",
        {"json": {"z": Z}},
        FORMS,
        poison={"json": {"z": [POISON_Z]}},
        bodies={NPY: array(np.array(Z, np.float32))},
    ),
    Row("POST", "/encode", IMAGE_BODY, (JSON, NPY), poison=array(POISONED), bodies=images_as(1)),
    Row("POST", "/reconstruct", IMAGE_BODY, FORMS, poison=array(POISONED), bodies=images_as(1)),
    Row("POST", "/score", IMAGE_BODY, (JSON,), poison=array(POISONED), bodies=images_as(1)),
    Row(
        "POST",
        "/interpolate",
        {"json": {"from": 1, "to": Z[0], "steps": 2}},
        FORMS,
        poison={"json": {"from": POISON_Z, "to": 1}},
        bodies={**images_as(2), "application/json of images": IMAGE_BODY},
    ),
]
POSTS = [row for row in ROWS if row.method == "POST"]
TAKE_IMAGES = [row for row in POSTS if NPY in row.bodies and row.path not in ("/decode",)]

every_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
every_post = pytest.mark.parametrize("row", POSTS, ids=lambda row: row.name)
takes_images = pytest.mark.parametrize("row", TAKE_IMAGES, ids=lambda row: row.name)


async def call(
    client: httpx.AsyncClient, row: Row, body: Body | None = None, **headers: str
) -> httpx.Response:
    sent = dict(row.body if body is None else body)
    sent["headers"] = {**sent.get("headers", {}), **{k.replace("_", "-"): v for k, v in headers.items()}}
    return await client.request(row.method, row.path, **sent)


def read_picture(content: bytes, form: str) -> None:
    image = Image.open(io.BytesIO(content))
    assert Image.MIME[str(image.format)] == form
    assert image.size == (16, 8)  # two images of 8x8 side by side


def read_zip(content: bytes) -> None:
    archive = zipfile.ZipFile(io.BytesIO(content))
    assert len(archive.namelist()) == 3
    assert len(json.loads(archive.read("manifest.json"))["data"]) == 2


def read_tar(content: bytes) -> None:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        names = archive.getnames()
    assert (len(names), names[-1]) == (3, "manifest.json")


READERS: Mapping[str, Callable[[bytes], object]] = {
    JSON: lambda content: json.loads(content)["data"][1]["index"],
    ZIP: read_zip,
    TAR: read_tar,
    NPY: lambda content: np.load(io.BytesIO(content), allow_pickle=False),
    **{form: lambda content, form=form: read_picture(content, form) for form in PICTURES},
}


def assert_good(answer: httpx.Response, row: Row, form: str) -> None:
    """An answer of two items in a form, with every header that the contract promises."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == form
    READERS[form](answer.content)
    assert answer.headers["x-request-id"] == "cell"
    assert "Accept" in answer.headers["vary"]
    assert len(answer.headers["x-model-version"]) == 12
    parts = [part.partition(";")[0] for part in answer.headers["server-timing"].split(", ")]
    assert parts == ["queue", "device", "codec"]
    assert ("x-seed" in answer.headers) == ("/sample" in row.path)
    assert (answer.headers.get("x-layout") == "grid") == (form in PICTURES)


@pytest.mark.parametrize("form", FORMS)
@every_row
async def test_every_form_is_given_or_refused_naming_those_that_are(
    client: httpx.AsyncClient, row: Row, form: str
) -> None:
    answer = await call(client, row, accept=form, x_request_id="cell")
    if form in row.forms:
        assert_good(answer, row, form)
    else:
        body = assert_problem(answer, 406, param="Accept")
        assert all(other in str(body["detail"]) for other in row.forms)


@pytest.mark.parametrize("accept", ["*/*", "application/*", "text/html, */*;q=0.1"])
@every_row
async def test_who_does_not_mind_gets_json(client: httpx.AsyncClient, row: Row, accept: str) -> None:
    assert_good(await call(client, row, accept=accept, x_request_id="cell"), row, JSON)


@every_row
async def test_who_wants_any_picture_gets_png(client: httpx.AsyncClient, row: Row) -> None:
    answer = await call(client, row, accept="image/*", x_request_id="cell")
    if "image/png" in row.forms:
        assert_good(answer, row, "image/png")
    else:
        assert_problem(answer, 406, param="Accept")


@pytest.mark.parametrize("form", PICTURES[:1])
@every_row
async def test_a_png_says_where_it_comes_from(client: httpx.AsyncClient, row: Row, form: str) -> None:
    if form in row.forms:
        answer = await call(client, row, accept=form)
        text = Image.open(io.BytesIO(answer.content)).text
        assert text["Index"] == "0-1"
        assert text["Model"] == f"{tiny_vae.NAME} {answer.headers['x-model-version']}"
        assert text.get("Seed") == ("7" if "/sample" in row.path else None)


@pytest.mark.parametrize(
    ("row", "body"),
    [pytest.param(row, body, id=f"{row.name} {name}") for row in POSTS for name, body in row.bodies.items()],
)
async def test_every_form_of_body_is_taken(client: httpx.AsyncClient, row: Row, body: Body) -> None:
    answer = await call(client, row, body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"]


@every_post
async def test_400_what_is_no_json(client: httpx.AsyncClient, row: Row) -> None:
    body = {"content": b'{"n": ', "headers": {"content-type": JSON}}
    assert_problem(await call(client, row, body), 400, words="not JSON")


@takes_images
async def test_400_a_damaged_image(client: httpx.AsyncClient, row: Row) -> None:
    body = {"json": base64_body([FILES[0], FILES[1][:60]])}
    assert_problem(await call(client, row, body), 400, param="images[1]", words="damaged")


@every_row
async def test_401_no_key_or_a_wrong_one(running_app: RunningApp, row: Row) -> None:
    async with running_app(api_keys=KEY) as (_, client):
        for headers in ({}, {"authorization": "Bearer wrong"}, {"x_api_key": "wrong"}):
            answer = await call(client, row, **headers)
            assert_problem(answer, 401, param="Authorization")
            assert answer.headers["www-authenticate"] == "Bearer"
        for headers in ({"authorization": f"Bearer {KEY}"}, {"x_api_key": KEY}):
            assert (await call(client, row, **headers)).status_code == 200


@every_row
async def test_404_an_unknown_model(client: httpx.AsyncClient, row: Row) -> None:
    separator = "&" if "?" in row.path else "?"
    answer = await client.request(row.method, f"{row.path}{separator}model=other", **row.body)
    assert_problem(answer, 404, param="model", words=tiny_vae.NAME)


@every_row
async def test_404_an_unknown_path(client: httpx.AsyncClient, row: Row) -> None:
    path = row.path.partition("?")[0]
    assert_problem(await client.request(row.method, f"{path}/other", **row.body), 404)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
@every_row
async def test_405_an_unknown_method(client: httpx.AsyncClient, row: Row, method: str) -> None:
    path = row.path.partition("?")[0]
    if path == "/sample" and method == "GET":
        return
    answer = await client.request(method, path)
    assert_problem(answer, 405)
    assert answer.headers["allow"] == ("GET, HEAD, POST" if path == "/sample" else "POST")


@every_post
async def test_408_a_body_that_is_not_there_by_the_deadline(client: httpx.AsyncClient, row: Row) -> None:
    async def stalled() -> AsyncIterator[bytes]:
        yield b'{"z": '
        await asyncio.Event().wait()

    body = {"content": stalled(), "headers": {"content-type": JSON}}
    async with asyncio.timeout(10):
        assert_problem(await call(client, row, body, x_request_timeout_ms="500"), 408)


@every_post
async def test_413_a_body_over_the_limit(running_app: RunningApp, row: Row) -> None:
    async with running_app(max_body_bytes=1024) as (_, client):
        body = {"content": b" " * 2000, "headers": {"content-type": JSON}}
        assert_problem(await call(client, row, body), 413, words="1024 bytes")


@takes_images
async def test_413_an_image_over_the_limit(running_app: RunningApp, row: Row) -> None:
    async with running_app(max_image_pixels=63) as (_, client):
        body = {"json": base64_body(FILES)}
        assert_problem(await call(client, row, body), 413, param="images[0]", words="at most 63")


@every_post
async def test_415_another_form_of_body(client: httpx.AsyncClient, row: Row) -> None:
    answer = await call(client, row, {"content": b"x", "headers": {"content-type": "text/plain"}})
    assert_problem(answer, 415, param="Content-Type", words=JSON)


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/sample", {"n": 0}, "n"),
        ("/decode", {"z": [[0]]}, "z[0]"),
        ("/encode", {"images": []}, "images"),
        ("/reconstruct", {"images": FILES[:0]}, "images"),
        ("/score", {"images": [5]}, "images"),
        ("/interpolate", {"from": 1, "to": 2, "steps": 1}, "steps"),
    ],
)
async def test_422_a_value_out_of_range(
    client: httpx.AsyncClient, path: str, body: dict[str, object], param: str
) -> None:
    assert_problem(await client.post(path, json=body), 422, param=param)
    content = b'{"x": NaN}'
    answer = await client.post(path, content=content, headers={"content-type": JSON})
    assert_problem(answer, 422, words="NaN")


@every_row
async def test_429_a_full_queue(running_app: RunningApp, row: Row) -> None:
    async with running_app(max_queued_items=2) as (app, client):
        with app.state.service.models.default.admission.places(2, timeout_seconds=30):
            answer = await call(client, row)
            assert_problem(answer, 429, words="queue is full")
            assert int(answer.headers["retry-after"]) >= 1
        assert (await call(client, row)).status_code == 200


class Fragile(tiny_vae.TinyVAE):
    """Fails on latents, and on images, as a device would."""

    @torch.jit.export
    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """As ever, or not at all."""
        red = images[:, 0].flatten(1).to(self.encode_weight.dtype)
        mu = ((red @ self.encode_weight).float() / 16.0 - 128.0) / 32.0
        if bool((mu > 3.9).any()):
            raise RuntimeError("secret of the device")
        return mu, self.log_var.float().expand(mu.size(0), 4).contiguous()

    @torch.jit.export
    def decode(self, z: Tensor) -> Tensor:
        """As ever, or not at all."""
        if bool((z == 3.96875).any()):
            raise RuntimeError("secret of the device")
        pixels = (z.to(self.decode_weight.dtype) @ self.decode_weight).float() + 128.0
        return pixels.round().clamp(0.0, 255.0).to(torch.uint8).view(-1, 3, 8, 8)


@pytest.mark.parametrize("row", [row for row in ROWS if row.poison], ids=lambda row: row.name)
async def test_500_a_failing_device(running_app: RunningApp, tmp_path: Path, row: Row) -> None:
    path = tiny_vae.save(tmp_path / "fragile.pt", module=Fragile())
    async with running_app(checkpoint=path, device="cpu") as (_, client):
        answer = await call(client, row, row.poison)
        assert_problem(answer, 500, words="the log has the details")
        assert "secret" not in answer.text
        assert (await call(client, row)).status_code == 200


@every_row
async def test_503_a_stopped_service(running_app: RunningApp, row: Row) -> None:
    async with running_app() as (app, client):
        app.state.service.models.default.stop()
        answer = await call(client, row)
        assert_problem(answer, 503)
        assert int(answer.headers["retry-after"]) >= 1


@every_row
async def test_504_a_deadline_that_passed(running_app: RunningApp, row: Row) -> None:
    async with running_app(request_timeout_seconds=1e-9) as (_, client):
        assert_problem(await call(client, row), 504, words="deadline")


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/models", JSON),
        (f"/models/{tiny_vae.NAME}", JSON),
        ("/", JSON),
        ("/livez", JSON),
        ("/healthz", JSON),
        ("/readyz", JSON),
        ("/v2/health/live", JSON),
        ("/v2/health/ready", JSON),
        ("/metrics", "text/plain"),
        ("/docs", "text/html"),
        ("/openapi.json", JSON),
    ],
)
async def test_every_other_path_answers(client: httpx.AsyncClient, path: str, form: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].partition(";")[0] == form
    assert "Accept" in answer.headers["vary"]
    assert answer.headers["x-request-id"]


async def test_a_browser_gets_a_page_at_the_root(client: httpx.AsyncClient) -> None:
    answer = await client.get("/", headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert answer.headers["content-type"].startswith("text/html")


async def test_the_models_show_the_limits_of_a_request_and_all_that_is_known_of_them(
    client: httpx.AsyncClient,
) -> None:
    body = (await client.get("/models")).json()
    assert body["limits"]["max_images"] == 64
    (model,) = body["data"]
    known = {"image_shape", "preprocessing", "provenance", "quality", "sha256", "prior", "unit_kl", "scores"}
    assert known <= set(model)
    assert set(model["buckets"]) == {"decode", "encode", "reconstruct", "score"}
