"""The one table from errors to statuses, and the one shape, whatever goes wrong."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import torch
from starlette.requests import Request
from starlette.responses import Response
from torch import Tensor

from service import checkpoint
from service.api.errors import STATUSES
from service.app import create_app
from service.errors import (
    CannotAdopt,
    CannotListen,
    DeviceNotFound,
    InvalidCheckpoint,
    InvalidKeys,
    ServiceError,
)
from service.scripted import without_deprecation_warning
from service.settings import Settings
from tests import tiny_vae
from tests.conftest import RunningApp
from tests.pictures import file_of, noise, picture
from tests.scrape import samples
from tests.service.api.problems import assert_problem

pytestmark = pytest.mark.anyio

# The contract's table, written down once more.
CONTRACT = {
    "BadBody": 400,
    "BadImage": 400,
    "Unauthorized": 401,
    "ModelNotFound": 404,
    "NotAcceptable": 406,
    "BodyTooLate": 408,
    "TooLarge": 413,
    "UnsupportedMediaType": 415,
    "InvalidValue": 422,
    "QueueFull": 429,
    "InferenceFailed": 500,
    "BadOutput": 500,
    "NotReady": 503,
    "DeadlineExceeded": 504,
}
# Met before there are requests, or without any.
AT_THE_START = {CannotAdopt, InvalidCheckpoint, DeviceNotFound, CannotListen, InvalidKeys}
POISON = 99.0


def leaves(kind: type[ServiceError] = ServiceError) -> set[type[ServiceError]]:
    children = kind.__subclasses__()
    return set().union(*map(leaves, children)) if children else {kind}


def test_every_error_that_a_request_can_meet_has_a_status() -> None:
    assert leaves() - AT_THE_START <= set(STATUSES)


def test_the_table_is_the_contracts() -> None:
    assert {kind.__name__: status for kind, (status, _) in STATUSES.items()} == CONTRACT


def test_every_title_says_something() -> None:
    assert all(title and title[0].isupper() for _, title in STATUSES.values())


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("POST", "/", 405),
        ("GET", "/encode", 405),
        ("DELETE", "/sample", 405),
        ("PUT", "/models", 405),
        ("GET", "/models/other", 404),
        ("GET", "/sample/../../etc/passwd", 404),
        ("POST", "/sample/", 404),
        ("GET", "/models/", 404),
        ("GET", "/docs/", 404),
        ("GET", "/livez/", 404),
        ("GET", "/swagger-ui", 404),
        ("GET", "/playground", 404),
        ("GET", "/playground/", 404),
    ],
)
async def test_unknown_paths_and_methods_have_the_same_shape(
    client: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await client.request(method, path)
    assert_problem(answer, status, param="model" if path.startswith("/models/o") else None)


async def test_a_wrong_method_says_which_are_allowed(client: httpx.AsyncClient) -> None:
    answer = await client.get("/encode")
    assert "POST" in answer.headers["allow"]


async def test_a_length_may_begin_with_zeros(client: httpx.AsyncClient) -> None:
    headers = {"content-type": "application/json", "content-length": "0" * 5000 + "2"}
    assert (await client.post("/sample", content=b"{}", headers=headers)).status_code == 200
    headers["content-length"] = "0" * 5000 + "9" * 19
    assert_problem(await client.post("/sample", content=b"{}", headers=headers), 413)


@pytest.mark.parametrize("path", ["/sample", "/decode", "/encode", "/reconstruct"])
@pytest.mark.parametrize("is_announced", [True, False], ids=["announced", "chunked"])
async def test_a_body_over_the_limit_is_refused(
    running_app: RunningApp, path: str, is_announced: bool
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b" " * 1024

    async with running_app(max_body_bytes=4096) as (_, client):
        content = b" " * 5 * 1024 if is_announced else chunks()
        answer = await client.post(path, content=content, headers={"content-type": "application/json"})
        assert_problem(answer, 413, words="4096 bytes")
        assert (await client.post("/sample", json={})).status_code == 200


async def test_a_multipart_body_over_the_limit_is_refused(running_app: RunningApp) -> None:
    async with running_app(max_body_bytes=4096) as (_, client):
        answer = await client.post("/encode", files={"image": b"x" * 5000})
        assert_problem(answer, 413, words="4096 bytes")


async def test_a_body_at_the_limit_is_taken(running_app: RunningApp) -> None:
    async with running_app(max_body_bytes=1024) as (_, client):
        content = b"{}" + b" " * 1022
        answer = await client.post("/sample", content=content, headers={"content-type": "application/json"})
        assert answer.status_code == 200


async def test_an_image_of_too_many_pixels_is_refused_naming_the_limit(running_app: RunningApp) -> None:
    async with running_app(max_image_pixels=100) as (_, client):
        file = file_of(picture(noise(10, 11, 3)))
        answer = await client.post("/encode", files={"image": file})
        assert_problem(answer, 413, param="image[0]", words="at most 100")


async def test_a_full_queue_is_429_with_a_whole_number_of_seconds_to_wait(
    tiny_checkpoint: Path, device: torch.device
) -> None:
    app = create_app(Settings(checkpoint=tiny_checkpoint, device=str(device), max_queued_items=2))
    engine = app.state.service.models.default
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        first = asyncio.create_task(client.post("/sample", json={"n": 2}))  # waits: the device is not started
        while engine.batcher.num_queued < 2:
            await asyncio.sleep(0)
        answer = await client.post("/sample", json={"n": 1})
        assert_problem(answer, 429, words="queue is full")
        assert int(answer.headers["retry-after"]) >= 1
        engine.start()
        assert (await first).status_code == 200
        engine.stop()
        found = samples((await client.get("/metrics")).text)
        assert found['vae_rejected_total{reason="queue_full"}'] == 1


async def test_a_deadline_that_passed_is_504(running_app: RunningApp) -> None:
    async with running_app(request_timeout_seconds=1e-9) as (_, client):
        assert_problem(await client.post("/sample", json={}), 504, words="deadline")
        found = samples((await client.get("/metrics")).text)
        assert found['vae_rejected_total{reason="deadline"}'] == 1


async def test_a_stopped_engine_is_503_with_retry_after(running_app: RunningApp) -> None:
    async with running_app() as (app, client):
        app.state.service.models.default.stop()
        answer = await client.post("/sample", json={})
        assert_problem(answer, 503)
        assert int(answer.headers["retry-after"]) >= 1
        assert (await client.get("/livez")).status_code == 503
        ready = await client.get("/readyz")
        assert ready.status_code == 503
        found = samples((await client.get("/metrics")).text)
        assert found['vae_rejected_total{reason="not_ready"}'] == 1


class _Fragile(tiny_vae.TinyVAE):
    """Fails on one latent, as a device would."""

    @torch.jit.export
    def decode(self, z: Tensor) -> Tensor:
        if bool((z == 99.0).any()):
            raise RuntimeError("secret of the device")
        pixels = (z.to(self.decode_weight.dtype) @ self.decode_weight).float() + 128.0
        return pixels.round().clamp(0.0, 255.0).to(torch.uint8).view(-1, 3, 8, 8)


async def test_a_failing_device_is_500_without_internals_and_the_next_request_works(
    running_app: RunningApp, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "fragile.pt"
    with without_deprecation_warning():
        checkpoint.save(path, torch.jit.script(_Fragile().eval()), tiny_vae.metadata())
    async with running_app(checkpoint=path, device="cpu") as (_, client):
        with caplog.at_level(logging.ERROR):
            answer = await client.post("/decode", json={"z": [[POISON, 0, 0, 0]]})
        body = assert_problem(answer, 500)
        assert "secret" not in answer.text
        logged = [record for record in caplog.records if getattr(record, "fields", {}).get("request_id")]
        assert [record.fields["request_id"] for record in logged] == [body["request_id"]]
        assert "secret of the device" in caplog.text
        assert (await client.post("/decode", json={"z": [[0, 0, 0, 0]]})).status_code == 200
        found = samples((await client.get("/metrics")).text)
        assert found['vae_device_failures_total{kind="other"}'] == 1


async def test_a_fault_of_ours_is_500_without_internals_and_with_its_id_in_the_log(
    running_app: RunningApp, caplog: pytest.LogCaptureFixture
) -> None:
    async def fault(request: Request) -> Response:
        raise ZeroDivisionError("secret of ours")

    async with running_app() as (app, client):
        app.add_route("/fault", fault)
        with caplog.at_level(logging.ERROR):
            answer = await client.get("/fault")
        body = assert_problem(answer, 500)
        assert "secret" not in answer.text
        assert caplog.records[-1].fields["request_id"] == body["request_id"]
        assert "secret of ours" in caplog.text
        assert (await client.post("/sample", json={})).status_code == 200
