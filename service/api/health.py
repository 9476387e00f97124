"""What machines ask: alive, ready, metrics; and which models there are."""

import asyncio
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from service.api import documents
from service.api.descriptions import Health, ModelsAnswer, Status, describe, describe_limits
from service.api.negotiation import Form
from service.api.service import service_of

router = APIRouter(tags=["health"])
scraping = APIRouter(tags=["health"])
models = APIRouter(tags=["models"])


@router.get("/livez", **documents.LIVE)
@router.get("/healthz", include_in_schema=False)
async def livez(request: Request) -> Response:
    """Whether the process should go on: 503 asks for a restart."""
    models = service_of(request).models
    return _health("ok" if models.is_alive else "failed", models.is_alive, models.trouble)


@router.get("/readyz", **documents.READY)
async def readyz(request: Request) -> Response:
    """Whether to send requests here."""
    models = service_of(request).models
    status: Status = "stuck" if models.trouble else "ready"
    if not models.is_alive:
        status = "failed"
    elif models.is_draining:
        status = "draining"
    return _health(status, models.is_ready, models.trouble)


@scraping.get("/metrics", **documents.METRICS)
async def scrape(request: Request) -> Response:
    """Metrics in Prometheus' text format, or as OpenMetrics with exemplars where that is asked for."""
    metrics, asked = service_of(request).metrics, request.headers.get("accept", "")
    text = await asyncio.to_thread(metrics.render, asked)  # other workers may have to be asked
    return Response(text, media_type=metrics.media_type(asked))


@models.get("/models", **documents.MODELS)
async def list_models(request: Request) -> Response:
    """List the models that are served, and the limits of a request."""
    service = service_of(request)
    described = [describe(engine) for engine in service.models]
    limits = describe_limits(service.limits)
    answer = ModelsAnswer(data=described, default=service.models.default.name, limits=limits)
    return _json(answer.model_dump(mode="json"))


@models.get("/models/{name}", **documents.MODEL)
async def show_model(request: Request) -> Response:
    """Describe one model: shapes, preprocessing, provenance, measured quality."""
    model = service_of(request).models[request.path_params["name"]]
    return _json(describe(model).model_dump(mode="json"))


def _health(status: Status, is_well: bool, trouble: str) -> Response:
    health = Health(status=status, detail=trouble) if trouble else Health(status=status)
    return _json(health.model_dump(exclude_unset=True), 200 if is_well else 503)


def _json(content: dict[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, media_type=Form.JSON)
