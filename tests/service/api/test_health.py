"""What machines ask: alive, ready, metrics, models, and the index."""

from pathlib import Path

import httpx
import pytest

from service import checkpoint
from service.app import TITLE, VERSION
from service.vae.buckets import CPU_SIZES
from tests import tiny_vae
from tests.conftest import RunningApp
from tests.scrape import samples

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("path", ["/livez", "/healthz", "/readyz"])
async def test_a_running_service_is_alive_and_ready(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 200
    assert answer.json()["status"] in ("ok", "ready")


async def test_readiness_is_in_the_metrics(running_app: RunningApp) -> None:
    async with running_app() as (app, client):
        assert samples((await client.get("/metrics")).text)["vae_ready"] == 1
    assert samples(app.state.service.metrics.render())["vae_ready"] == 0


async def test_metrics_have_prometheus_content_type(client: httpx.AsyncClient) -> None:
    answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert samples(answer.text)


async def test_models_lists_what_is_served_with_the_limits(
    client: httpx.AsyncClient, tiny_checkpoint: Path
) -> None:
    body = (await client.get("/models")).json()
    (model,) = body["data"]
    assert model == (await client.get(f"/models/{tiny_vae.NAME}")).json()
    assert model["name"] == tiny_vae.NAME
    assert model["image_shape"] == [3, 8, 8]
    assert model["latent_dim"] == 4
    assert model["preprocessing"] == {"crop": "square"}
    assert model["sha256"] == checkpoint.load(tiny_checkpoint).sha256
    assert model["model_version"] == model["sha256"][:12]
    assert model["quality"] == {"elbo": -1.5}
    assert set(model["buckets"]) == {"decode", "encode", "reconstruct", "score"}
    assert body["limits"] == {
        "max_images": 64,
        "max_body_bytes": 10 * 2**20,
        "max_image_pixels": 16_000_000,
        "max_image_side": 8192,
        "max_decode_bytes": 64 * 2**20,
        "request_timeout_seconds": 30.0,
    }


async def test_buckets_are_candidate_sizes(client: httpx.AsyncClient) -> None:
    (model,) = (await client.get("/models")).json()["data"]
    if model["device"] == "cpu":
        assert all(set(sizes) <= set(CPU_SIZES) for sizes in model["buckets"].values())
    assert all(sizes == sorted(sizes) and sizes for sizes in model["buckets"].values())


async def test_the_index_names_every_path_of_the_document(client: httpx.AsyncClient) -> None:
    index = (await client.get("/")).json()
    document = (await client.get("/openapi.json")).json()
    assert (index["service"], index["version"]) == (TITLE, VERSION)
    assert index["paths"] == list(document["paths"])
    for path in ("/sample", "/encode", "/decode", "/reconstruct", "/models", "/livez", "/readyz", "/metrics"):
        assert path in index["paths"]


async def test_the_documents_are_served(client: httpx.AsyncClient) -> None:
    answer = await client.get("/docs")
    assert answer.status_code == 200
    assert "text/html" in answer.headers["content-type"]


async def test_the_document_shows_the_limits_of_this_server(running_app: RunningApp) -> None:
    async with running_app(max_images=5) as (_, client):
        schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]
    assert schemas["SampleRequest"]["properties"]["n"]["maximum"] == 5
    z = schemas["DecodeRequest"]["properties"]["z"]
    assert (z["minItems"], z["maxItems"], z["items"]["minItems"], z["items"]["maxItems"]) == (1, 5, 4, 4)
