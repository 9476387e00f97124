"""What the operations do alike: uploads to arrays, futures to results, results to answers.

Shapes: N images, H height, W width, C channels.
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from service.api.answers import Rendering
from service.api.negotiation import PICTURE_FORMS, Form
from service.api.presence import while_present
from service.api.service import Service, service_of
from service.api.tracing import record_stages
from service.api.uploads import Upload, Uploads
from service.engine.engine import Future
from service.engine.jobs import Result
from service.engine.steps import Step
from service.metadata import Metadata
from service.scripted import UInt8Array
from service.vae.images import ImageLimits, check_image, prepare_pixels
from service.vae.runtime import Runtime

# What takes less time than a small batch: files of so many bytes in all, each of which takes no more memory
# than that; PNG of so many pixels; figures of so many images.
MAX_SHORT_FILE_BYTES = 64 * 1024
MAX_SHORT_DECODE_BYTES = 512 * 1024
MAX_SHORT_PIXEL_BYTES = 256 * 1024
MAX_SHORT_ROWS = 16

Convert = Callable[[UInt8Array], UInt8Array]


def upload_steps(
    service: Service, runtime: Runtime, uploads: Uploads, *, convert: Convert | None = None
) -> list[Step]:
    """What makes the inputs of a model of uploaded images: each step gives uint8 (1, H, W, C).

    Args:
        service: With the limits.
        runtime: The model.
        uploads: As they came.
        convert: Changes the prepared images.
    """
    is_short = sum(upload.num_bytes for upload in uploads.images) <= MAX_SHORT_FILE_BYTES
    prepare = partial(_prepare, runtime.metadata, service.limits.image, convert)
    return [Step(partial(prepare, upload, is_short=is_short), is_short) for upload in uploads.images]


def _prepare(
    metadata: Metadata, limits: ImageLimits, convert: Convert | None, upload: Upload, *, is_short: bool
) -> UInt8Array | Step:
    """An upload as an input of the network; a short step gives a long one where the picture is large."""
    preprocessing, shape, param = metadata.preprocessing, metadata.image_shape, upload.param
    if isinstance(upload.content, np.ndarray):
        pixels = prepare_pixels(upload.content, preprocessing, shape, limits=limits, param=param)
        return _converted(pixels, convert)
    media_type = upload.media_type
    checked = check_image(
        upload.file(), preprocessing, shape, media_type=media_type, limits=limits, param=param
    )
    if is_short and checked.decode_bytes > MAX_SHORT_DECODE_BYTES:
        return Step(lambda: _converted(checked.pixels(), convert), is_short=False)
    return _converted(checked.pixels(), convert)


def _converted(pixels: UInt8Array, convert: Convert | None) -> UInt8Array:
    images = pixels[np.newaxis]
    return images if convert is None else convert(images)


def rendering_step(rendering: Rendering, num_images: int) -> Step:
    """The last step of a job that gives so many images."""
    is_png = rendering.output_format == "png" and rendering.form not in (Form.JPEG, Form.WEBP)
    num_bytes = num_images * math.prod(rendering.runtime.metadata.image_shape)
    return Step(rendering.body, is_png and num_bytes <= MAX_SHORT_PIXEL_BYTES)


async def result_of(request: Request, work: Future, *, has_uploads: bool = False) -> Result:
    """What became of the job of a request; ClientDisconnect where its client has gone.

    Args:
        request: Whose stages are recorded.
        work: The job's future.
        has_uploads: Whether its inputs were made of image files.
    """
    result = await while_present(request, work)
    metrics = service_of(request).metrics
    stages = [("queue", result.queue_seconds), ("device", result.device_seconds)]
    if has_uploads:
        metrics.codec_finished("decode_image", result.prepare_seconds)
        stages.insert(0, ("decode_image", result.prepare_seconds))
    if result.answer is not None:
        metrics.codec_finished("encode_image", result.finish_seconds)
        stages.append(("encode_image", result.finish_seconds))
    record_stages(*stages)
    return result


def image_answer(request: Request, result: Result, rendering: Rendering) -> Response:
    """The images of a result, as they were rendered."""
    reply = answer(request, result.answer, rendering.form, result)
    if "seed" in rendering.provenance:
        reply.headers["X-Seed"] = str(rendering.provenance["seed"])
    if rendering.form in PICTURE_FORMS and len(result.outputs[0]) > 1:
        reply.headers["X-Layout"] = "grid"
    return reply


def answer(request: Request, body: bytes, form: Form, result: Result) -> Response:
    """A body, with where the time went in a header and in the log."""
    codec_seconds = result.prepare_seconds + result.finish_seconds
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
