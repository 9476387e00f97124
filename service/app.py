"""Builds every object once and starts and stops them; everything else is handed what it needs."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import torch
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from service import checkpoint
from service.api import documents, health, routes
from service.api.codecs import Codecs
from service.api.errors import answer_http_error, answer_service_error, answer_unexpected_error
from service.api.middleware import RequestMiddleware, direct
from service.api.schemas import sample_request
from service.api.service import Limits, Service
from service.engine.engine import Engine, available_cores
from service.errors import DeviceNotFound, ServiceError
from service.metrics import Metrics
from service.settings import Settings
from service.vae.runtime import Runtime

TITLE = "VAE service"
VERSION = "0.1.0"
DESCRIPTION = (
    "Samples, encodes, decodes and reconstructs images with a variational autoencoder. "
    "`Accept` decides the form of an answer; every error is `application/problem+json`."
)


def create_app(settings: Settings) -> FastAPI:
    """Load the checkpoint and build the app around it.

    Raises:
        InvalidCheckpoint: Naming what is wrong with the file.
        DeviceNotFound: The settings name a device that is not there.
    """
    service = build_service(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # What was built so far lives as long as the process: a full collection need not visit it, which
        # would stop every thread for a tenth of a second.
        gc.collect()
        gc.freeze()
        service.engine.start()
        service.metrics.ready(True)
        yield
        service.metrics.ready(False)
        await asyncio.to_thread(service.engine.stop)
        service.codecs.close()
        gc.unfreeze()

    app = App(
        title=TITLE,
        version=VERSION,
        description=DESCRIPTION,
        lifespan=lifespan,
        redoc_url=None,
    )
    app.state.service = service
    for router in (routes.router, health.models, health.router, health.index):
        app.include_router(router)
    app.add_exception_handler(ServiceError, answer_service_error)
    app.add_exception_handler(HTTPException, answer_http_error)
    app.add_exception_handler(Exception, answer_unexpected_error)
    return app


class App(FastAPI):
    """FastAPI with RequestMiddleware around all of it, a short way to the operations, and our document."""

    def build_middleware_stack(self) -> ASGIApp:
        """Put RequestMiddleware outermost."""
        service: Service = self.state.service
        operations = {
            (method, route.path): direct(route.endpoint)
            for route in routes.router.routes
            if isinstance(route, APIRoute)
            for method in route.methods or ()
        }
        return RequestMiddleware(
            super().build_middleware_stack(),
            operations=operations,
            metrics=service.metrics,
            engine=service.engine,
            max_body_bytes=service.limits.max_body_bytes,
        )

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, with the limits of this server and the shapes of its model."""
        if self.openapi_schema is None:
            service: Service = self.state.service
            document = get_openapi(
                title=self.title, version=self.version, description=self.description, routes=self.routes
            )
            schemas = documents.components(
                service.sample_request, service.engine.runtime.metadata.latent_dim, service.limits.max_images
            )
            document.setdefault("components", {})["schemas"] = dict(sorted(schemas.items()))
            self.openapi_schema = document
        return self.openapi_schema


def build_service(settings: Settings) -> Service:
    """Everything behind the routes, warmed up and not yet started."""
    metrics = Metrics()
    runtime = Runtime(
        checkpoint.load(settings.checkpoint, expected_sha256=settings.checkpoint_sha256),
        _device(settings.device),
        precision=settings.precision,
        encode_precision=settings.encode_precision,
        max_batch_size=settings.max_batch_size,
    )
    engine = Engine(
        runtime,
        metrics,
        max_items=settings.max_images,
        max_queued_items=settings.max_queued_items,
        num_lanes=settings.device_threads,
    )
    limits = Limits(
        max_images=settings.max_images,
        max_body_bytes=settings.max_body_bytes,
        max_image_pixels=settings.max_image_pixels,
        request_timeout_seconds=settings.request_timeout_seconds,
    )
    return Service(
        engine=engine,
        codecs=Codecs(
            settings.codec_threads or available_cores(), metrics, max_waiting=engine.batcher.max_queued_items
        ),
        metrics=metrics,
        limits=limits,
        png_compression=settings.png_compression,
        sample_request=sample_request(settings.max_images),
    )


def _device(name: str) -> torch.device:
    device = torch.device(name if name != "auto" else "cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu":
        return device
    device = torch.device("cuda", device.index or 0)
    if device.index >= torch.cuda.device_count():
        raise DeviceNotFound(
            f"{name} was asked for, and this machine has {torch.cuda.device_count()} CUDA devices"
        )
    return device
