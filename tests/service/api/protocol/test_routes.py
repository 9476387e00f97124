"""The protocol's paths: metadata, readiness, inference, and errors in its own shape."""

import asyncio
from pathlib import Path

import httpx
import numpy as np
import pytest

from service.app import TITLE, VERSION
from tests import tiny_vae
from tests.conftest import RunningApp
from tests.scrape import samples
from tests.service.api.busy import ONE_THREAD, Busy, admitted, until_admitted
from tests.service.api.leaving import leave

pytestmark = pytest.mark.anyio

Z = np.array([[0.5, -1, 2, 0], [0, 1, 1e-3, -7], [3, 3, 3, 3]], np.float32)
PIXELS = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
MODEL = f"/v2/models/{tiny_vae.NAME}"
LENGTH = "inference-header-content-length"


def latents(**changes: object) -> dict[str, object]:
    tensor = {"name": "z", "shape": list(Z.shape), "datatype": "FP32", "data": Z.tolist()}
    return {"inputs": [{**tensor, **changes}]}


def images(**changes: object) -> dict[str, object]:
    tensor = {"name": "images", "shape": list(PIXELS.shape), "datatype": "UINT8", "data": PIXELS.tolist()}
    return {"inputs": [{**tensor, **changes}]}


def outputs(answer: httpx.Response) -> dict[str, np.ndarray]:
    """Tensors of an answer in JSON, by name."""
    dtypes = {"UINT8": np.uint8, "FP32": np.float32}
    return {
        output["name"]: np.array(output["data"], dtypes[output["datatype"]]).reshape(output["shape"])
        for output in answer.json()["outputs"]
    }


def assert_error(answer: httpx.Response, status: int, words: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json()) == ["error"]
    assert words in answer.json()["error"]
    assert answer.headers["x-request-id"]


async def version_of(client: httpx.AsyncClient) -> str:
    return (await client.get(f"/models/{tiny_vae.NAME}")).json()["model_version"]


async def test_the_server_says_what_it_is_and_that_it_takes_bytes(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v2")
    assert answer.json() == {"name": TITLE, "version": VERSION, "extensions": ["binary_tensor_data"]}


async def test_a_model_says_what_its_tensors_are(client: httpx.AsyncClient) -> None:
    version = await version_of(client)
    expected = {
        "name": tiny_vae.NAME,
        "versions": [version],
        "platform": "pytorch_torchscript",
        "inputs": [
            {"name": "images", "datatype": "UINT8", "shape": [-1, 8, 8, 3]},
            {"name": "z", "datatype": "FP32", "shape": [-1, 4]},
        ],
        "outputs": [
            {"name": "mu", "datatype": "FP32", "shape": [-1, 4]},
            {"name": "log_var", "datatype": "FP32", "shape": [-1, 4]},
            {"name": "images", "datatype": "UINT8", "shape": [-1, 8, 8, 3]},
        ],
    }
    assert (await client.get(MODEL)).json() == expected
    assert (await client.get(f"{MODEL}/versions/{version}")).json() == expected


async def test_server_and_models_are_live_and_ready(client: httpx.AsyncClient) -> None:
    version = await version_of(client)
    assert (await client.get("/v2/health/live")).json() == {"live": True}
    assert (await client.get("/v2/health/ready")).json() == {"ready": True}
    for path in (f"{MODEL}/ready", f"{MODEL}/versions/{version}/ready"):
        assert (await client.get(path)).json() == {"name": tiny_vae.NAME, "ready": True}


async def test_while_it_drains_nothing_is_ready_and_all_is_live(running_app: RunningApp) -> None:
    async with running_app() as (app, client):
        app.state.service.models.drain()
        assert (await client.get("/v2/health/live")).status_code == 200
        for path in ("/v2/health/ready", f"{MODEL}/ready"):
            answer = await client.get(path)
            assert answer.status_code == 503
            assert answer.json()["ready"] is False


async def test_z_is_decoded_to_images(client: httpx.AsyncClient) -> None:
    version = await version_of(client)
    for path in (f"{MODEL}/infer", f"{MODEL}/versions/{version}/infer"):
        answer = await client.post(path, json={"id": "7", **latents()})
        body = answer.json()
        assert answer.status_code == 200
        assert (body["model_name"], body["model_version"], body["id"]) == (tiny_vae.NAME, version, "7")
        assert list(outputs(answer)) == ["images"]
        np.testing.assert_array_equal(outputs(answer)["images"], tiny_vae.decoded(Z))
        assert answer.headers["server-timing"].startswith("queue;dur=")
        assert answer.headers["x-model-version"] == version


async def test_images_are_encoded_to_mu_and_log_var(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"{MODEL}/infer", json=images())
    found = outputs(answer)
    np.testing.assert_allclose(found["mu"], tiny_vae.encoded_mu(PIXELS), atol=1e-6)
    np.testing.assert_array_equal(found["log_var"], [tiny_vae.LOG_VAR] * 2)
    assert "id" not in answer.json()
    only = await client.post(f"{MODEL}/infer", json={**images(), "outputs": [{"name": "log_var"}]})
    assert list(outputs(only)) == ["log_var"]


async def test_an_answer_as_bytes_is_the_answer_as_json(client: httpx.AsyncClient) -> None:
    as_json = outputs(await client.post(f"{MODEL}/infer", json=images()))
    wanted = {"parameters": {"binary_data_output": True}}
    answer = await client.post(f"{MODEL}/infer", json={**images(), **wanted})
    assert answer.headers["content-type"] == "application/octet-stream"
    length = int(answer.headers[LENGTH])
    tensors = httpx.Response(200, content=answer.content[:length]).json()["outputs"]
    assert [tensor["parameters"] for tensor in tensors] == [{"binary_data_size": 32}] * 2
    assert not any("data" in tensor for tensor in tensors)
    mu, log_var = np.frombuffer(answer.content[length:], "<f4").reshape(2, 2, 4)
    np.testing.assert_array_equal(mu, as_json["mu"])
    np.testing.assert_array_equal(log_var, as_json["log_var"])


async def test_one_output_may_come_as_bytes_and_the_other_as_json(client: httpx.AsyncClient) -> None:
    wanted = [{"name": "log_var"}, {"name": "mu", "parameters": {"binary_data": True}}]
    answer = await client.post(f"{MODEL}/infer", json={**images(), "outputs": wanted})
    length = int(answer.headers[LENGTH])
    log_var, mu = httpx.Response(200, content=answer.content[:length]).json()["outputs"]
    assert log_var["data"] == [*tiny_vae.LOG_VAR] * 2
    assert mu["parameters"] == {"binary_data_size": 32}
    assert len(answer.content) == length + 32


async def test_inference_is_counted_as_what_it_is(running_app: RunningApp) -> None:
    async with running_app() as (_, client):
        for body in (latents(), latents(), images()):
            await client.post(f"{MODEL}/infer", json=body)
        counted = samples((await client.get("/metrics")).text)
    assert counted['vae_requests_total{code="200",operation="decode"}'] == 2
    assert counted['vae_requests_total{code="200",operation="encode"}'] == 1


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/v2/nowhere", 404, "nothing at /v2/nowhere"),
        ("GET", "/v2/", 404, "nothing at /v2/"),
        ("POST", f"{MODEL}/infer/", 404, f"nothing at {MODEL}/infer/"),
        ("POST", "/v2", 405, "/v2 does not take POST"),
        ("GET", f"{MODEL}/infer", 405, "does not take GET; send POST"),
        ("GET", "/v2/models/other", 404, "there are tiny"),
        ("GET", "/v2/models/other/ready", 404, "there are tiny"),
        ("POST", "/v2/models/other/infer", 404, "there are tiny"),
        ("GET", f"{MODEL}/versions/1", 404, "model tiny is served in version"),
        ("GET", f"{MODEL}/versions/1/ready", 404, "model tiny is served in version"),
        ("POST", f"{MODEL}/versions/1/infer", 404, "model tiny is served in version"),
        ("GET", "/v2x", 404, ""),
    ],
)
async def test_errors_have_the_protocols_shape_on_its_paths_only(
    client: httpx.AsyncClient, method: str, path: str, status: int, words: str
) -> None:
    answer = await client.request(method, path, json=latents() if method == "POST" else None)
    if path == "/v2x":
        assert answer.headers["content-type"] == "application/problem+json"
    else:
        assert_error(answer, status, words)


@pytest.mark.parametrize(
    ("request_", "status", "words"),
    [
        ({"content": b"{"}, 400, "the body is not JSON"),
        ({"content": b""}, 422, "inputs: Field required"),
        ({"json": latents(shape=[3, 5])}, 422, "inputs[0].shape of z must be [n, 4] with n from 1 to 64"),
        ({"json": latents(), "headers": {"content-type": "image/png"}}, 415, "send application/json or"),
        ({"json": latents(), "headers": {"x-request-timeout-ms": "soon"}}, 422, "X-Request-Timeout-Ms"),
        ({"json": latents(), "headers": {"x-request-timeout-ms": "0.001"}}, 504, "deadline"),
        ({"json": latents(), "headers": {LENGTH: "5"}}, 400, "not JSON"),
        ({"content": b"x" * (10 * 2**20 + 1)}, 413, "10485760 bytes"),
        ({"json": latents(), "params": {"model": "other"}}, 404, "there are tiny"),
    ],
)
async def test_what_is_wrong_with_an_inference_is_said(
    client: httpx.AsyncClient, request_: dict[str, object], status: int, words: str
) -> None:
    assert_error(await client.post(f"{MODEL}/infer", **request_), status, words)


async def test_a_body_needs_no_content_type_and_bytes_may_have_theirs(client: httpx.AsyncClient) -> None:
    for headers in ({}, {"content-type": "application/octet-stream"}):
        content = httpx.Request("POST", "http://x", json=latents()).content
        assert (await client.post(f"{MODEL}/infer", content=content, headers=headers)).status_code == 200


async def test_a_full_queue_is_429_with_the_time_to_come_back(running_app: RunningApp) -> None:
    async with running_app() as (app, client):
        admission = app.state.service.models.default.admission
        with admission.places(admission.max_items, timeout_seconds=30):
            answer = await client.post(f"{MODEL}/infer", json=latents())
        assert_error(answer, 429, "the queue is full")
        assert int(answer.headers["retry-after"]) >= 1
        assert (await client.post(f"{MODEL}/infer", json=latents())).status_code == 200


async def test_a_body_that_waits_to_be_read_holds_a_place_and_keeps_its_deadline(
    running_app: RunningApp,
) -> None:
    async with running_app(max_queued_items=1, **ONE_THREAD) as (app, client), asyncio.timeout(30):
        async with Busy(app):
            late = asyncio.create_task(
                client.post(f"{MODEL}/infer", json=latents(), headers={"x-request-timeout-ms": "2000"})
            )
            await until_admitted(client, 1)
            assert_error(await client.post(f"{MODEL}/infer", json=latents()), 429, "1 of 1 places are taken")
            assert_error(await late, 504, "deadline")
            assert await admitted(client) == 0
        assert (await client.post(f"{MODEL}/infer", json=latents())).status_code == 200


async def test_a_client_that_leaves_while_its_body_waits_to_be_read_gives_its_place_back(
    running_app: RunningApp,
) -> None:
    body = httpx.Request("POST", "http://x", json=latents()).content
    async with running_app(**ONE_THREAD) as (app, client), asyncio.timeout(30), Busy(app):
        message = {"type": "http.request", "body": body}
        await leave(app, f"{MODEL}/infer", "application/json", message)
        assert await admitted(client) == 0
        counted = samples((await client.get("/metrics")).text)
        assert counted['vae_requests_total{code="499",operation="other"}'] == 1


async def test_keys_are_asked_for_but_by_probes(running_app: RunningApp) -> None:
    async with running_app(api_keys="secret") as (_, client):
        for path in ("/v2", MODEL, f"{MODEL}/ready"):
            answer = await client.get(path)
            assert_error(answer, 401, "an API key is needed")
            assert answer.headers["www-authenticate"] == "Bearer"
            assert (await client.get(path, headers={"x-api-key": "secret"})).status_code == 200
        for path in ("/v2/health/live", "/v2/health/ready"):
            assert (await client.get(path)).status_code == 200


async def test_a_model_of_several_is_chosen_by_the_path(running_app: RunningApp, tmp_path: Path) -> None:
    for name in ("first", "second"):
        tiny_vae.save(tmp_path / f"{name}.pt", name=name)
    async with running_app(checkpoint=tmp_path) as (_, client):
        for name in ("first", "second"):
            answer = await client.post(f"/v2/models/{name}/infer", json=latents())
            assert answer.json()["model_name"] == name
            version = (await client.get(f"/v2/models/{name}")).json()["versions"]
            assert answer.json()["model_version"] == version[0] == answer.headers["x-model-version"]
