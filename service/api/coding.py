"""POST /encode, /decode and /reconstruct: each takes its body apart, asks the engine, and answers."""

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from service.api.answers import Images, posteriors, reconstruction_figures
from service.api.bodies import latents, read_latents
from service.api.negotiation import NUMBER_FORMS, accept, image_form, negotiate
from service.api.schemas import ReconstructOptions
from service.api.service import service_of
from service.api.uploads import read_uploads, upload_options
from service.api.work import answer, decoded_uploads, image_answer, result_of


async def decode(request: Request) -> Response:
    """Decode latents to images."""
    service = service_of(request)
    service.check_room(request)
    image_form(request)
    asked = await read_latents(request)
    form = image_form(request, asked.output_format)
    with service.model(request, asked.model) as model:
        z = latents(asked.z, model.runtime.metadata.latent_dim, service.limits.max_images)
        with service.places(request, model, len(z)):
            work = model.decode(z, timeout_seconds=service.timeout_seconds(request))
            result = await result_of(request, work)
            images = Images(
                model.runtime, result.outputs[0], "decode", service.png_compression, asked.output_format
            )
            return await image_answer(request, images, result, form)


async def encode(request: Request) -> Response:
    """Encode images to mu and log_var."""
    service = service_of(request)
    service.check_room(request)
    form = negotiate(accept(request), NUMBER_FORMS)
    uploads = await read_uploads(request, service.limits.max_images)
    num_images = len(uploads.images)
    with service.model(request, uploads.model) as model, service.places(request, model, num_images):
        images, codec_seconds = await decoded_uploads(service, model.runtime, uploads)
        work = model.encode(images, timeout_seconds=service.timeout_seconds(request))
        result = await result_of(request, work)
        mu, log_var = result.outputs
        body = posteriors(model.runtime, mu, log_var, form)
    return answer(request, body, form, result, codec_seconds)


async def reconstruct(request: Request) -> Response:
    """Encode images and decode their mu."""
    service = service_of(request)
    service.check_room(request)
    image_form(request)
    uploads = await read_uploads(request, service.limits.max_images)
    asked = upload_options(request, uploads, ReconstructOptions)
    form = image_form(request, asked.output_format)
    num_images = len(uploads.images)
    with service.model(request, uploads.model) as model, service.places(request, model, num_images):
        originals, codec_seconds = await decoded_uploads(service, model.runtime, uploads)
        work = model.reconstruct(originals, timeout_seconds=service.timeout_seconds(request))
        result = await result_of(request, work)
        figures = partial(reconstruction_figures, originals, *result.outputs)
        images = Images(
            model.runtime,
            result.outputs[0],
            "reconstruct",
            service.png_compression,
            asked.output_format,
            figures=figures,
            inputs=originals if asked.return_input else None,
        )
        return await image_answer(request, images, result, form, codec_seconds=codec_seconds)
