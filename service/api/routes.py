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
from service.api.answers import Figures, Images, posteriors_json, reconstruction_figures
from service.api.bodies import Upload, latents, read_json, read_uploads
from service.api.negotiation import IMAGE_FORMS, NUMBER_FORMS, Form, accept, negotiate
from service.api.presence import while_present
from service.api.schemas import DecodeRequest, validated
from service.api.service import Service, service_of
from service.checkpoint import UInt8Array
from service.engine.jobs import Result
from service.vae.images import decode_image
from service.vae.noise import draw_noise

router = APIRouter(tags=["operations"])

# Seeds that the server draws are whole numbers that JavaScript reads exactly.
NUM_DRAWN_SEEDS = 2**53


@router.post("/sample", **documents.SAMPLE)
async def sample(request: Request) -> Response:
    """Draw images from the prior."""
    service = service_of(request)
    form = negotiate(accept(request), IMAGE_FORMS)
    asked = validated(service.sample_request, await read_json(request))
    service.check_model(asked.model)
    seed = secrets.randbelow(NUM_DRAWN_SEEDS) if asked.seed is None else asked.seed
    z = draw_noise(seed, asked.n, service.engine.runtime.metadata.latent_dim) * np.float32(asked.temperature)
    result = await while_present(
        request, service.engine.decode(z, timeout_seconds=service.timeout_seconds(request))
    )
    return await _image_answer(service, result, form, "sample", seed=seed)


@router.post("/decode", **documents.DECODE)
async def decode(request: Request) -> Response:
    """Decode latents to images."""
    service = service_of(request)
    form = negotiate(accept(request), IMAGE_FORMS)
    content = await read_json(request)
    options = validated(DecodeRequest, content)
    service.check_model(options.model)
    z = latents(options.z, service.engine.runtime.metadata.latent_dim, service.limits.max_images)
    result = await while_present(
        request, service.engine.decode(z, timeout_seconds=service.timeout_seconds(request))
    )
    return await _image_answer(service, result, form, "decode")


@router.post("/encode", **documents.ENCODE)
async def encode(request: Request) -> Response:
    """Encode images to mu and log_var."""
    service = service_of(request)
    negotiate(accept(request), NUMBER_FORMS)
    images, codec_seconds = await _read_images(request, service)
    result = await while_present(
        request, service.engine.encode(images, timeout_seconds=service.timeout_seconds(request))
    )
    mu, log_var = result.outputs
    body = posteriors_json(service.engine.runtime, mu, log_var)
    return _answer(body, NUMBER_FORMS[0], result, codec_seconds)


@router.post("/reconstruct", **documents.RECONSTRUCT)
async def reconstruct(request: Request) -> Response:
    """Encode images and decode their mu."""
    service = service_of(request)
    form = negotiate(accept(request), IMAGE_FORMS)
    images, codec_seconds = await _read_images(request, service)
    result = await while_present(
        request, service.engine.reconstruct(images, timeout_seconds=service.timeout_seconds(request))
    )
    figures = partial(reconstruction_figures, images, *result.outputs)
    return await _image_answer(
        service, result, form, "reconstruct", figures=figures, codec_seconds=codec_seconds
    )


async def _read_images(request: Request, service: Service) -> tuple[UInt8Array, float]:
    """The uploaded images, prepared: uint8 (N, H, W, C), and the seconds that took."""
    uploads = await read_uploads(request, service.limits.max_images)
    images, seconds = await service.codecs.map("decode_image", partial(_decode_upload, service), uploads)
    return np.stack(images), seconds


def _decode_upload(service: Service, upload: Upload) -> UInt8Array:
    metadata = service.engine.runtime.metadata
    return decode_image(
        upload.file(),
        metadata.preprocessing,
        metadata.image_shape,
        media_type=upload.media_type,
        max_pixels=service.limits.max_image_pixels,
        param=upload.param,
    )


async def _image_answer(
    service: Service,
    result: Result,
    form: Form,
    operation: str,
    *,
    seed: int | None = None,
    figures: Callable[[], Figures] | None = None,
    codec_seconds: float = 0.0,
) -> Response:
    """Images, the first output of a result, in the form asked for."""
    images = Images(
        service.engine.runtime,
        result.outputs[0],
        operation,
        service.png_compression,
        seed=seed,
        figures=figures,
    )
    body, seconds = await service.codecs.run("encode_image", partial(images.render, form))
    answer = _answer(body, form, result, codec_seconds + seconds)
    if seed is not None:
        answer.headers["X-Seed"] = str(seed)
    if form is Form.PNG and len(images.pixels) > 1:
        answer.headers["X-Layout"] = "grid"
    return answer


def _answer(body: bytes, form: Form, result: Result, codec_seconds: float) -> Response:
    parts = {"queue": result.queue_seconds, "device": result.device_seconds, "codec": codec_seconds}
    timing = ", ".join(f"{name};dur={1000 * seconds:.2f}" for name, seconds in parts.items())
    return Response(body, headers={"Server-Timing": timing}, media_type=form)
