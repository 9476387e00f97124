"""The operations: each takes its body apart, hands arrays to the engine, and puts the answer together.

Shapes: N images, H height, W width, C channels, D latent size.
"""

import secrets
from collections.abc import Callable
from functools import partial

import numpy as np
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from service.api import documents
from service.api.answers import Figures, Images, posteriors, reconstruction_figures
from service.api.bodies import Upload, Uploads, latents, read_json, read_latents, read_uploads
from service.api.negotiation import IMAGE_FORMS, NUMBER_FORMS, PICTURE_FORMS, Form, accept, negotiate
from service.api.presence import while_present
from service.api.schemas import validated
from service.api.service import Service, service_of
from service.api.tracing import record_stage
from service.checkpoint import UInt8Array
from service.engine.engine import Future
from service.engine.jobs import Result
from service.metadata import Metadata
from service.vae.images import ImageLimits, decode_image, prepare_pixels
from service.vae.noise import draw_noise
from service.vae.runtime import Runtime

router = APIRouter(tags=["operations"])

# Seeds that the server draws are whole numbers that JavaScript reads exactly.
NUM_DRAWN_SEEDS = 2**53


@router.post("/sample", **documents.SAMPLE)
async def sample(request: Request) -> Response:
    """Draw images from the prior."""
    service = service_of(request)
    service.check_room(request)
    form = negotiate(accept(request), IMAGE_FORMS)
    asked = validated(service.sample_request, await read_json(request))
    seed = secrets.randbelow(NUM_DRAWN_SEEDS) if asked.seed is None else asked.seed
    with service.model(request, asked.model) as model, service.places(request, model, asked.n):
        z = draw_noise(seed, asked.n, model.runtime.metadata.latent_dim) * np.float32(asked.temperature)
        work = model.decode(z, timeout_seconds=service.timeout_seconds(request))
        result = await _result(request, work)
        return await _image_answer(request, model.runtime, result, form, "sample", seed=seed)


@router.post("/decode", **documents.DECODE)
async def decode(request: Request) -> Response:
    """Decode latents to images."""
    service = service_of(request)
    service.check_room(request)
    form = negotiate(accept(request), IMAGE_FORMS)
    rows, name = await read_latents(request)
    with service.model(request, name) as model:
        z = latents(rows, model.runtime.metadata.latent_dim, service.limits.max_images)
        with service.places(request, model, len(z)):
            work = model.decode(z, timeout_seconds=service.timeout_seconds(request))
            result = await _result(request, work)
            return await _image_answer(request, model.runtime, result, form, "decode")


@router.post("/encode", **documents.ENCODE)
async def encode(request: Request) -> Response:
    """Encode images to mu and log_var."""
    service = service_of(request)
    service.check_room(request)
    form = negotiate(accept(request), NUMBER_FORMS)
    uploads = await read_uploads(request, service.limits.max_images)
    num_images = len(uploads.images)
    with service.model(request, uploads.model) as model, service.places(request, model, num_images):
        images, codec_seconds = await _decode_uploads(service, model.runtime, uploads)
        work = model.encode(images, timeout_seconds=service.timeout_seconds(request))
        result = await _result(request, work)
        mu, log_var = result.outputs
        body = posteriors(model.runtime, mu, log_var, form)
    return _answer(request, body, form, result, codec_seconds)


@router.post("/reconstruct", **documents.RECONSTRUCT)
async def reconstruct(request: Request) -> Response:
    """Encode images and decode their mu."""
    service = service_of(request)
    service.check_room(request)
    form = negotiate(accept(request), IMAGE_FORMS)
    uploads = await read_uploads(request, service.limits.max_images)
    num_images = len(uploads.images)
    with service.model(request, uploads.model) as model, service.places(request, model, num_images):
        images, codec_seconds = await _decode_uploads(service, model.runtime, uploads)
        work = model.reconstruct(images, timeout_seconds=service.timeout_seconds(request))
        result = await _result(request, work)
        figures = partial(reconstruction_figures, images, *result.outputs)
        return await _image_answer(
            request, model.runtime, result, form, "reconstruct", figures=figures, codec_seconds=codec_seconds
        )


async def _decode_uploads(service: Service, runtime: Runtime, uploads: Uploads) -> tuple[UInt8Array, float]:
    """The uploaded images, prepared for a model: uint8 (N, H, W, C), and the seconds that took."""
    decode_one = partial(_decode_upload, runtime.metadata, service.limits.image)
    images, seconds = await service.codecs.map("decode_image", decode_one, uploads.images)
    record_stage("decode_image", seconds)
    return np.stack(images), seconds


def _decode_upload(metadata: Metadata, limits: ImageLimits, upload: Upload) -> UInt8Array:
    if isinstance(upload.content, np.ndarray):
        return prepare_pixels(
            upload.content, metadata.preprocessing, metadata.image_shape, limits=limits, param=upload.param
        )
    return decode_image(
        upload.file(),
        metadata.preprocessing,
        metadata.image_shape,
        media_type=upload.media_type,
        limits=limits,
        param=upload.param,
    )


async def _result(request: Request, work: Future) -> Result:
    """What the device made of a request; ClientDisconnect where its client has gone."""
    result = await while_present(request, work)
    record_stage("queue", result.queue_seconds, ended_seconds_ago=result.device_seconds)
    record_stage("device", result.device_seconds)
    return result


async def _image_answer(
    request: Request,
    runtime: Runtime,
    result: Result,
    form: Form,
    operation: str,
    *,
    seed: int | None = None,
    figures: Callable[[], Figures] | None = None,
    codec_seconds: float = 0.0,
) -> Response:
    """Images, the first output of a result, in the form asked for."""
    service = service_of(request)
    images = Images(
        runtime,
        result.outputs[0],
        operation,
        service.png_compression,
        seed=seed,
        figures=figures,
    )
    body, seconds = await service.codecs.run("encode_image", partial(images.render, form))
    record_stage("encode_image", seconds)
    answer = _answer(request, body, form, result, codec_seconds + seconds)
    if seed is not None:
        answer.headers["X-Seed"] = str(seed)
    if form in PICTURE_FORMS and len(images.pixels) > 1:
        answer.headers["X-Layout"] = "grid"
    return answer


def _answer(request: Request, body: bytes, form: Form, result: Result, codec_seconds: float) -> Response:
    request.scope["measured"] = {
        "num_items": len(result.outputs[0]),
        "num_bytes": len(body),
        "queue_seconds": round(result.queue_seconds, 6),
        "device_seconds": round(result.device_seconds, 6),
        "codec_seconds": round(codec_seconds, 6),
    }
    parts = {"queue": result.queue_seconds, "device": result.device_seconds, "codec": codec_seconds}
    timing = ", ".join(f"{name};dur={1000 * seconds:.2f}" for name, seconds in parts.items())
    return Response(body, headers={"Server-Timing": timing}, media_type=form)
