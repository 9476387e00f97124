"""Metadata, readiness and inference, for all models and versions."""

import dataclasses
import time
from contextlib import AbstractContextManager
from functools import partial

import orjson
from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from service.api.errors import PROTOCOL_PREFIX
from service.api.negotiation import Form, media_type
from service.api.presence import while_present
from service.api.protocol import documents
from service.api.protocol.answers import render
from service.api.protocol.documents import OCTETS
from service.api.protocol.inference import LENGTH_HEADER, Inference, read_inference
from service.api.protocol.schemas import (
    BINARY_EXTENSION,
    IMAGES,
    LOG_VAR,
    MU,
    OUTPUTS,
    PLATFORM,
    ModelMetadata,
    ModelReady,
    ServerLive,
    ServerMetadata,
    ServerReady,
    Z,
    tensors,
)
from service.api.service import service_of
from service.api.tracing import record_stages
from service.api.work import MAX_SHORT_FILE_BYTES, MAX_SHORT_ROWS, answer, result_of
from service.engine.engine import Engine
from service.engine.steps import Step
from service.errors import ModelNotFound, UnsupportedMediaType
from service.vae.operations import Operation

router = APIRouter(prefix=PROTOCOL_PREFIX, tags=["inference protocol"])


@router.get("", **documents.SERVER)
async def show_server(request: Request) -> Response:
    """Say what server this is, and which extensions it knows."""
    app = request.app
    return _json(ServerMetadata(name=app.title, version=app.version, extensions=[BINARY_EXTENSION]))


@router.get("/health/live", **documents.LIVE)
async def server_live(request: Request) -> Response:
    """Whether the process should go on."""
    is_alive = service_of(request).models.is_alive
    return _json(ServerLive(live=is_alive), 200 if is_alive else 503)


@router.get("/health/ready", **documents.READY)
async def server_ready(request: Request) -> Response:
    """Whether to send requests here."""
    is_ready = service_of(request).models.is_ready
    return _json(ServerReady(ready=is_ready), 200 if is_ready else 503)


@router.get("/models/{name}", **documents.MODEL)
@router.get("/models/{name}/versions/{version}", **documents.MODEL_VERSION)
async def show_tensors(request: Request) -> Response:
    """Describe the tensors of a model."""
    with _model(request) as model:
        runtime = model.runtime
    known = tensors(runtime.metadata)
    metadata = ModelMetadata(
        name=runtime.metadata.name,
        versions=[runtime.version],
        platform=PLATFORM,
        inputs=[known[name] for name in OUTPUTS],
        outputs=[known[name] for name in (MU, LOG_VAR, IMAGES)],
    )
    return _json(metadata)


@router.get("/models/{name}/ready", **documents.MODEL_READY)
@router.get("/models/{name}/versions/{version}/ready", **documents.MODEL_VERSION_READY)
async def model_ready(request: Request) -> Response:
    """Whether a model takes requests."""
    with _model(request) as model:
        is_ready = model.is_ready and not service_of(request).models.is_draining
        return _json(ModelReady(name=model.name, ready=is_ready), 200 if is_ready else 503)


@router.post("/models/{name}/infer", **documents.INFER)
@router.post("/models/{name}/versions/{version}/infer", **documents.INFER_VERSION)
async def infer(request: Request) -> Response:
    """Encode images to mu and log_var, or decode z to images."""
    service = service_of(request)
    service.check_room(request)
    _check_media_type(request)
    content, json_length = await request.body(), request.headers.get(LENGTH_HEADER)
    with _model(request) as model:
        known = tensors(model.runtime.metadata)
        read = partial(read_inference, content, json_length, known, service.limits.max_images)
        asked, read_seconds = await _read(request, model, Step(read, len(content) <= MAX_SHORT_FILE_BYTES))
        operation, run = (
            (Operation.DECODE, model.decode) if asked.name == Z else (Operation.ENCODE, model.encode)
        )
        request.scope["operation"] = operation
        with service.places(request, model, len(asked.rows)):
            is_short = len(asked.rows) <= MAX_SHORT_ROWS
            write = Step(partial(render, model.runtime, asked, known), is_short)
            work = run(asked.rows, timeout_seconds=service.timeout_seconds(request), finish=write)
            result = await result_of(request, work)
    result = dataclasses.replace(result, prepare_seconds=read_seconds)
    body, length = result.answer
    return _tensors(answer(request, body, Form.JSON, result), length)


async def _read(request: Request, model: Engine, step: Step) -> tuple[Inference, float]:
    """What a body asks for, and the seconds that reading it took.

    How many items it has nobody knows before: meanwhile it holds one place.
    """
    service, started = service_of(request), time.perf_counter()
    with service.places(request, model, 1):
        work = model.do(step, timeout_seconds=service.timeout_seconds(request))
        asked = await while_present(request, work)
    seconds = time.perf_counter() - started
    service.metrics.codec_finished("decode_image", seconds)
    record_stages(("decode_image", seconds))
    return asked, seconds


def _tensors(reply: Response, json_length: int | None) -> Response:
    """Say how long the JSON is where bytes follow it."""
    if json_length is not None:
        reply.headers["Content-Type"] = OCTETS
        reply.headers[LENGTH_HEADER] = str(json_length)
    return reply


def _model(request: Request) -> AbstractContextManager[Engine]:
    """Hold the model that the path names.

    Raises:
        ModelNotFound: There is none of that name and version.
    """
    service, name = service_of(request), request.path_params["name"]
    version = request.path_params.get("version")
    found = service.models[name].runtime.version
    if version not in (None, found):
        raise ModelNotFound(f"model {name} is served in version {found} only", param="version")
    return service.model(request, name)


def _check_media_type(request: Request) -> None:
    sent_as = media_type(request.headers.get("content-type"))
    if sent_as not in ("", Form.JSON, OCTETS):
        problem = f"send {Form.JSON} or {OCTETS}, got {sent_as}"
        raise UnsupportedMediaType(problem, param="Content-Type")


def _json(content: BaseModel, status: int = 200) -> Response:
    return Response(orjson.dumps(content.model_dump(mode="json")), status, media_type=Form.JSON)
