"""What the operations do alike: uploads to arrays, futures to results, results to answers.

Shapes: N images, H height, W width, C channels.
"""

from functools import partial

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from service.api.answers import Images
from service.api.negotiation import PICTURE_FORMS, Form
from service.api.presence import while_present
from service.api.service import Service, service_of
from service.api.tracing import record_stage
from service.api.uploads import Upload, Uploads
from service.engine.engine import Future
from service.engine.jobs import Result
from service.metadata import Metadata
from service.scripted import UInt8Array
from service.vae.images import ImageLimits, decode_image, prepare_pixels
from service.vae.runtime import Runtime


async def decoded_uploads(service: Service, runtime: Runtime, uploads: Uploads) -> tuple[UInt8Array, float]:
    """The uploaded images, prepared for a model: uint8 (N, H, W, C), and the seconds that took."""
    decode_one = partial(_decode_upload, runtime.metadata, service.limits.image)
    images, seconds = await service.codecs.map("decode_image", decode_one, uploads.images)
    record_stage("decode_image", seconds)
    return images[0][np.newaxis] if len(images) == 1 else np.stack(images), seconds


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


async def result_of(request: Request, work: Future) -> Result:
    """What the device made of a request; ClientDisconnect where its client has gone."""
    result = await while_present(request, work)
    record_stage("queue", result.queue_seconds, ended_seconds_ago=result.device_seconds)
    record_stage("device", result.device_seconds)
    return result


async def image_answer(
    request: Request, images: Images, result: Result, form: Form, *, codec_seconds: float = 0.0
) -> Response:
    """The images that came of a result, in the form asked for."""
    body, seconds = await service_of(request).codecs.run("encode_image", partial(images.render, form))
    record_stage("encode_image", seconds)
    reply = answer(request, body, form, result, codec_seconds + seconds)
    if "seed" in images.provenance:
        reply.headers["X-Seed"] = str(images.provenance["seed"])
    if form in PICTURE_FORMS and len(images.pixels) > 1:
        reply.headers["X-Layout"] = "grid"
    return reply


def answer(request: Request, body: bytes, form: Form, result: Result, codec_seconds: float) -> Response:
    """A body, with where the time went in a header and in the log."""
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
