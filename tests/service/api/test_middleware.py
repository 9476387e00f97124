"""What every answer carries, what is counted, and what is logged."""

import asyncio
import json
import logging
import re
from pathlib import Path

import anyio
import httpx
import pytest
import torch
from fastapi import FastAPI

from service.api.protocol import schemas as protocol
from service.app import create_app
from service.logs import JsonFormatter
from service.settings import Settings
from service.vae.noise import draw_noise
from tests.conftest import RunningApp
from tests.pictures import file_of, noise, picture
from tests.scrape import samples
from tests.service.api.busy import ONE_THREAD, Busy, admitted, until_admitted
from tests.service.api.leaving import leave

pytestmark = pytest.mark.anyio

FILE = file_of(picture(noise(8, 8, 3)))
REQUESTS = {
    "sample": {"json": {"n": 2, "seed": 5}},
    "decode": {"json": {"z": [[0, 0, 0, 0]]}},
    "encode": {"files": {"image": FILE}},
    "reconstruct": {"files": {"image": FILE}},
}
operations = pytest.mark.parametrize("operation", REQUESTS)


def assert_common_headers(answer: httpx.Response) -> None:
    assert answer.headers["vary"] == "Accept"
    assert re.fullmatch(r"[0-9a-f]{12}", answer.headers["x-model-version"])
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; ")
    assert answer.headers["content-security-policy"].endswith("frame-ancestors 'none'")
    assert len(set(answer.headers)) == len(answer.headers.multi_items())
    assert int(answer.headers["content-length"]) == len(answer.content)


@operations
async def test_every_answer_has_the_common_headers(client: httpx.AsyncClient, operation: str) -> None:
    answer = await client.post(f"/{operation}", **REQUESTS[operation])
    assert answer.status_code == 200
    assert_common_headers(answer)


@pytest.mark.parametrize("path", ["/livez", "/metrics", "/models", "/nowhere", "/docs", "/openapi.json", "/"])
async def test_other_answers_have_them_too(client: httpx.AsyncClient, path: str) -> None:
    assert_common_headers(await client.get(path))


@pytest.mark.parametrize("path", ["/livez", "/sample", "/nowhere", "/swagger-ui/swagger-ui.css"])
async def test_no_answer_but_the_page_of_documents_may_load_anything(
    client: httpx.AsyncClient, path: str
) -> None:
    policy = (await client.get(path)).headers["content-security-policy"]
    assert policy == "default-src 'none'; frame-ancestors 'none'"


@operations
@pytest.mark.parametrize("accept", ["application/json", "image/png", "application/zip"])
async def test_server_timing_tells_queue_device_and_codec(
    client: httpx.AsyncClient, operation: str, accept: str
) -> None:
    if operation == "encode" and accept != "application/json":
        return
    answer = await client.post(f"/{operation}", headers={"accept": accept}, **REQUESTS[operation])
    timing = re.fullmatch(
        r"queue;dur=(\d+\.\d+), device;dur=(\d+\.\d+), codec;dur=(\d+\.\d+)", answer.headers["server-timing"]
    )
    assert timing is not None
    assert all(float(milliseconds) < 60_000 for milliseconds in timing.groups())


@operations
async def test_only_samples_have_a_seed(client: httpx.AsyncClient, operation: str) -> None:
    answer = await client.post(f"/{operation}", **REQUESTS[operation])
    assert answer.headers.get("x-seed") == ("5" if operation == "sample" else None)


@pytest.mark.parametrize("given", ["abc-123", "A.b_c", "x" * 128])
async def test_a_request_id_is_echoed(client: httpx.AsyncClient, given: str) -> None:
    answer = await client.get("/nowhere", headers={"x-request-id": given})
    assert answer.headers["x-request-id"] == given
    assert answer.json()["request_id"] == given


@pytest.mark.parametrize("given", ["", "two words", "x" * 129, 'quote"', "<script>", "é", "a\tb"])
async def test_a_request_id_that_could_do_harm_is_replaced(client: httpx.AsyncClient, given: str) -> None:
    answer = await client.get("/livez", headers={"x-request-id": given.encode("latin-1")})
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])


async def test_every_request_has_an_id_of_its_own(client: httpx.AsyncClient) -> None:
    ids = {(await client.get("/livez")).headers["x-request-id"] for _ in range(5)}
    assert len(ids) == 5


async def test_requests_are_counted_by_operation_and_status(running_app: RunningApp) -> None:
    async with running_app() as (_, client):
        for operation, request in REQUESTS.items():
            await client.post(f"/{operation}", **request)
        await client.post("/sample", json={"n": 0})
        await client.get("/nowhere")
        await client.get("/sample/more")
        found = samples((await client.get("/metrics")).text)
    for operation in REQUESTS:
        assert found[f'vae_requests_total{{code="200",operation="{operation}"}}'] == 1
    assert found['vae_requests_total{code="422",operation="sample"}'] == 1
    assert found['vae_requests_total{code="404",operation="other"}'] == 2
    assert found['vae_request_duration_seconds_count{operation="sample"}'] == 2
    assert found['vae_codec_seconds_count{stage="decode_image"}'] == 2
    assert found['vae_codec_seconds_count{stage="encode_image"}'] == len(REQUESTS)


async def test_no_path_makes_a_series_of_its_own(running_app: RunningApp) -> None:
    async with running_app() as (_, client):
        before = samples((await client.get("/metrics")).text)
        for index in range(20):
            await client.get(f"/nowhere/{index}")
        after = samples((await client.get("/metrics")).text)
    new = {series for series in set(after) - set(before) if not series.endswith("_created")}
    assert {series for series in new if "404" not in series} <= {
        'vae_requests_total{code="200",operation="other"}',
        'vae_requests_created{code="404",operation="other"}',
    }
    assert len(new) <= 4


@pytest.mark.usefixtures("anyio_backend")
async def test_a_request_is_one_line_in_the_log(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="service.access"):
        await client.post("/sample", json={"n": 0}, headers={"x-request-id": "my-id"})
    (record,) = [record for record in caplog.records if record.name == "service.access"]
    line = json.loads(JsonFormatter().format(record))
    assert (line["request_id"], line["method"], line["path"], line["status"]) == (
        "my-id",
        "POST",
        "/sample",
        422,
    )
    assert line["duration_seconds"] >= 0


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz", "/metrics"])
async def test_what_machines_ask_often_is_not_logged(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    with caplog.at_level(logging.INFO, logger="service.access"):
        await client.get(path)
    assert [record for record in caplog.records if record.name == "service.access"] == []


@pytest.mark.parametrize(
    ("path", "content_type", "operation"),
    [("/encode", "image/png", "encode"), ("/v2/models/tiny/infer", "application/json", "other")],
)
async def test_a_client_that_leaves_in_its_upload_is_no_error_of_ours(
    running_app: RunningApp, caplog: pytest.LogCaptureFixture, path: str, content_type: str, operation: str
) -> None:
    async with running_app() as (app, client):
        with caplog.at_level(logging.WARNING):
            await leave_while_uploading(app, path, content_type)
        found = samples((await client.get("/metrics")).text)
    assert not [series for series, num in found.items() if 'code="500"' in series and num]
    assert found[f'vae_requests_total{{code="499",operation="{operation}"}}'] == 1
    assert caplog.records == []


@pytest.mark.parametrize(
    ("path", "body", "media_type"),
    [
        ("/interpolate", {"from": 1, "to": 2}, "application/problem+json"),
        ("/v2/models/tiny/infer", protocol.example(4), "application/json"),
    ],
)
async def test_a_request_that_the_end_of_the_server_cuts_off_is_503(
    running_app: RunningApp, path: str, body: dict[str, object], media_type: str
) -> None:
    async with running_app(**ONE_THREAD) as (app, client), Busy(app):
        cut_off = asyncio.create_task(client.post(path, json=body))
        await until_admitted(client, 1)
        cut_off.cancel()
        answer = await cut_off
        assert answer.status_code == 503
        assert answer.headers["content-type"] == media_type
        assert "shutting down" in answer.text
        assert int(answer.headers["retry-after"]) >= 1
        assert await admitted(client) == 0


async def test_a_client_that_leaves_while_it_waits_is_not_computed(
    tiny_checkpoint: Path, device: torch.device
) -> None:
    app = create_app(Settings(checkpoint=tiny_checkpoint, device=str(device), precision="float32"))
    engine, metrics = app.state.service.models.default, app.state.service.metrics
    # The device is not started yet, so the job waits until its client has gone.
    with anyio.fail_after(2):
        await leave_while_waiting(app)
    engine.start()
    await engine.decode(draw_noise(0, 1, 4), timeout_seconds=30)
    engine.stop()
    found = samples(metrics.render())
    assert found['vae_cancelled_total{stage="queued"}'] == 1
    assert found['vae_batch_items_sum{operation="decode"}'] == 1


async def leave_while_uploading(app: FastAPI, path: str, content_type: str) -> None:
    """Send the first part of a body and close the connection."""
    first = {"type": "http.request", "body": b"the first", "more_body": True}
    await leave(app, path, content_type, first)


async def leave_while_waiting(app: FastAPI) -> None:
    """Send a whole request and close the connection before its answer."""
    await leave(app, "/sample", "application/json", {"type": "http.request", "body": b'{"n": 3}'})
