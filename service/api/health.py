"""What machines ask: alive, ready, metrics; and which models there are."""

from typing import Any

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from service import metrics
from service.api import documents
from service.api.negotiation import Form
from service.api.service import Service, service_of
from service.vae.operations import Operation

router = APIRouter(tags=["health"])
models = APIRouter(tags=["models"])
index = APIRouter()


@router.get("/livez", **documents.HEALTH)
@router.get("/healthz", include_in_schema=False)
@router.get("/v2/health/live", include_in_schema=False)
async def livez(request: Request) -> Response:
    """Whether the process should go on: 503 asks for a restart."""
    is_alive = service_of(request).engine.is_alive
    return _json({"status": "ok" if is_alive else "failed"}, 200 if is_alive else 503)


@router.get("/readyz", **documents.HEALTH)
@router.get("/v2/health/ready", include_in_schema=False)
async def readyz(request: Request) -> Response:
    """Whether to send requests here."""
    engine = service_of(request).engine
    status = "draining" if engine.is_draining else "ready" if engine.is_ready else "failed"
    return _json({"status": status}, 200 if engine.is_ready else 503)


@router.get("/metrics", **documents.METRICS)
async def scrape(request: Request) -> Response:
    """Metrics in Prometheus' text format."""
    return Response(service_of(request).metrics.render(), media_type=metrics.CONTENT_TYPE)


@models.get("/models", **documents.MODELS)
async def list_models(request: Request) -> Response:
    """List the models that are served, and the limits of a request."""
    service = service_of(request)
    return _json({"data": [_description(service)], "limits": _limits(service)})


@models.get("/models/{name}", **documents.MODEL)
async def show_model(request: Request) -> Response:
    """Describe one model: shapes, preprocessing, provenance, measured quality."""
    service = service_of(request)
    service.check_model(request.path_params["name"])
    return _json(_description(service))


@index.get("/", include_in_schema=False)
async def show_index(request: Request) -> Response:
    """Say what there is."""
    return _json(
        {
            "service": request.app.title,
            "version": request.app.version,
            "paths": list(request.app.openapi()["paths"]),
        }
    )


def _description(service: Service) -> dict[str, Any]:
    runtime = service.engine.runtime
    return {
        **runtime.metadata.model_dump(mode="json"),
        "model_version": runtime.version,
        "sha256": runtime.sha256,
        "device": str(runtime.device),
        "precision": runtime.precision,
        "encode_precision": runtime.encode_precision,
        "buckets": {operation.value: list(runtime.seconds[operation]) for operation in Operation},
    }


def _limits(service: Service) -> dict[str, Any]:
    limits = service.limits
    return {
        "max_images": limits.max_images,
        "max_body_bytes": limits.max_body_bytes,
        "max_image_pixels": limits.max_image_pixels,
        "request_timeout_seconds": limits.request_timeout_seconds,
        "max_queued_items": service.engine.batcher.max_queued_items,
    }


def _json(content: dict[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, media_type=Form.JSON)
