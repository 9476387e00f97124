"""Builds every object once and starts and stops them; everything else is handed what it needs."""

import asyncio
import gc
import logging
import platform
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from service import checkpoint
from service.api import front_page, health, routes, swagger
from service.api.components import components, security
from service.api.documents import operation_id
from service.api.errors import (
    answer_http_error,
    answer_nobody,
    answer_service_error,
    answer_unexpected_error,
)
from service.api.keys import KeyMiddleware, load_keys
from service.api.middleware import RequestMiddleware
from service.api.origins import allow_origins
from service.api.protocol import routes as protocol
from service.api.schemas import sample_request
from service.api.service import Limits, Service
from service.api.short_way import ShortWay
from service.engine.codecs import Codecs
from service.engine.cores import available_cores
from service.engine.engine import Engine
from service.engine.models import Models
from service.engine.reloader import Reloader
from service.errors import DeviceNotFound, ServiceError
from service.metrics import Metrics
from service.settings import Settings
from service.vae.images import ImageLimits
from service.vae.runtime import Runtime

TITLE = "VAE service"
VERSION = "0.1.0"
log = logging.getLogger("service")
DESCRIPTION = (
    "Samples, encodes, decodes and reconstructs images with a variational autoencoder. "
    "`Accept` decides the form of an answer; every error is `application/problem+json`."
)


def create_app(settings: Settings) -> FastAPI:
    """Load the checkpoint and build the app around it.

    Raises:
        InvalidKeys: Naming the setting of API keys that is wrong.
        InvalidCheckpoint: Naming what is wrong with the file.
        DeviceNotFound: The settings name a device that is not there.
    """
    keys = load_keys(settings.api_keys, settings.api_keys_file)
    service = build_service(settings)

    app = App(
        title=TITLE,
        version=VERSION,
        description=DESCRIPTION,
        lifespan=_run,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # to whatever host the request names; a path that there is not is 404
        generate_unique_id_function=operation_id,
    )
    app.state.service = service
    app.state.keys = keys
    app.state.cors_origins = settings.cors_origins
    _add_routes(app, with_metrics=settings.metrics_port is None)
    app.add_exception_handler(ServiceError, answer_service_error)
    app.add_exception_handler(HTTPException, answer_http_error)
    app.add_exception_handler(ClientDisconnect, answer_nobody)
    app.add_exception_handler(Exception, answer_unexpected_error)
    return app


@asynccontextmanager
async def _run(app: FastAPI) -> AsyncIterator[None]:
    """Start what was built, and stop it at the end."""
    service: Service = app.state.service
    # What was built so far lives as long as the process: a full collection need not visit it, which
    # would stop every thread for a tenth of a second.
    gc.collect()
    gc.freeze()
    service.models.start()
    loop = asyncio.get_running_loop()
    service.reloader.start(lambda engine: _hand_over(loop, service.models, engine))
    yield
    service.reloader.close()
    await service.models.stop()
    service.codecs.close()
    gc.unfreeze()


def _add_routes(app: FastAPI, *, with_metrics: bool) -> None:
    for router in (
        routes.router,
        protocol.router,
        health.models,
        health.router,
        front_page.router,
        swagger.router,
        *([health.scraping] if with_metrics else []),
    ):
        app.include_router(router)
    app.mount(swagger.FILES, swagger.files())
    app.mount(front_page.FILES, front_page.PageFiles())


class App(FastAPI):
    """FastAPI with what is around every request, a short way to the operations, and our document."""

    def build_middleware_stack(self) -> ASGIApp:
        """Put RequestMiddleware outermost, so that refusals too are counted and have the common headers."""
        service: Service = self.state.service
        operations = {
            (method, route.path): route.endpoint
            for route in routes.router.routes
            if isinstance(route, APIRoute)
            for method in route.methods or ()
        }
        stack: ASGIApp = ShortWay(super().build_middleware_stack(), operations)
        if self.state.keys is not None:
            stack = KeyMiddleware(stack, self.state.keys)
        if self.state.cors_origins is not None:  # around the keys: a browser asks for leave without one
            stack = allow_origins(stack, self.state.cors_origins)
        return RequestMiddleware(
            stack,
            metrics=service.metrics,
            models=service.models,
            max_body_bytes=service.limits.max_body_bytes,
            max_seconds=service.limits.request_timeout_seconds,
        )

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, with the limits of this server and the shapes of its model."""
        if self.openapi_schema is None:
            service: Service = self.state.service
            document = get_openapi(
                title=self.title, version=self.version, description=self.description, routes=self.routes
            )
            sizes = {engine.runtime.metadata.latent_dim for engine in service.models}
            latent_dim = sizes.pop() if len(sizes) == 1 else None
            document["components"] = components(
                service.sample_request,
                latent_dim,
                service.limits.max_images,
                has_fitted_prior=any(engine.runtime.prior for engine in service.models),
            )
            document["security"] = security(self.state.keys is not None)
            self.openapi_schema = document
        return self.openapi_schema


def build_service(settings: Settings) -> Service:
    """Everything behind the routes, warmed up and not yet started."""
    metrics = Metrics()
    codecs = Codecs(settings.codec_threads or available_cores())
    _describe_build(metrics, _device(settings.device))
    reloader = Reloader(
        settings.checkpoint,
        partial(build_engine, settings, codecs, metrics),
        metrics,
        watch_seconds=settings.watch_seconds,
    )
    engines = reloader.load_all()
    models = Models(engines, settings.default_model or engines[0].name, metrics)
    limits = Limits(
        max_images=settings.max_images,
        max_body_bytes=settings.max_body_bytes,
        image=ImageLimits(
            max_pixels=settings.max_image_pixels,
            max_side=settings.max_image_side,
            max_decode_bytes=settings.max_decode_bytes,
        ),
        request_timeout_seconds=settings.request_timeout_seconds,
    )
    return Service(
        models=models,
        reloader=reloader,
        codecs=codecs,
        metrics=metrics,
        limits=limits,
        png_compression=settings.png_compression,
        sample_request=sample_request(settings.max_images),
    )


def build_engine(settings: Settings, codecs: Codecs, metrics: Metrics, path: Path) -> Engine:
    """Load a checkpoint and warm it up.

    Raises:
        InvalidCheckpoint: Naming what is wrong with the file.
        DeviceNotFound: The settings name a device that is not there.
    """
    device = _device(settings.device)
    loaded = checkpoint.load(
        path,
        allowed_sha256=settings.checkpoint_sha256,
        allowed_operators=settings.allowed_operators,
    )
    log.info("warming up %s on %s: measuring which batches are worthwhile ...", loaded.metadata.name, device)
    runtime = Runtime(
        loaded,
        device,
        precision=settings.precision,
        encode_precision=settings.encode_precision,
        max_batch_size=settings.max_batch_size,
    )
    for refusal in runtime.refusals:
        log.warning("%s: %s", loaded.metadata.name, refusal)
    return Engine(
        runtime,
        codecs,
        metrics,
        max_items=settings.max_images,
        max_queued_items=settings.max_queued_items,
        num_lanes=settings.device_threads,
        watchdog_seconds=settings.watchdog_seconds,
    )


def _describe_build(metrics: Metrics, device: torch.device) -> None:
    cuda = torch.version.cuda or ""
    python = platform.python_version()
    metrics.built({"version": VERSION, "torch": torch.__version__, "cuda": cuda, "python": python})
    if device.type == "cuda":
        metrics.device_memory_is("allocated", partial(torch.cuda.memory_allocated, device))
        metrics.device_memory_is("reserved", partial(torch.cuda.memory_reserved, device))


def _hand_over(loop: asyncio.AbstractEventLoop, models: Models, engine: Engine) -> None:
    with suppress(RuntimeError):  # the loop is closed: the service has stopped meanwhile
        loop.call_soon_threadsafe(models.put, engine)


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
