"""POST /encode, /decode and /reconstruct: each takes its body apart, asks the engine, and answers."""

from collections.abc import Mapping, Sequence
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from service.api.answers import Rendering, inputs_beside, posteriors, reconstruction_figures
from service.api.bodies import latents, read_latents
from service.api.negotiation import NUMBER_FORMS, accept, image_form, negotiate
from service.api.schemas import ReconstructOptions
from service.api.service import service_of
from service.api.uploads import read_uploads, upload_options
from service.api.work import answer, image_answer, rendering_step, result_of, upload_steps
from service.engine.steps import Step
from service.vae.operations import Array, Arrays


async def decode(request: Request) -> Response:
    """Decode latents to images."""
    service = service_of(request)
    service.check_room(request)
    image_form(request)
    asked = await read_latents(request)
    form = image_form(request, asked.output_format)
    with service.model(request, asked.model) as model:
        z = latents(asked.z, model.runtime.metadata.latent_dim, service.limits.max_images)
        rendering = Rendering(model.runtime, "decode", form, service.png_compression, asked.output_format)
        with service.places(request, model, len(z)):
            finish = rendering_step(rendering, len(z))
            work = model.decode(z, timeout_seconds=service.timeout_seconds(request), finish=finish)
            return image_answer(request, await result_of(request, work), rendering)


async def encode(request: Request) -> Response:
    """Encode images to mu and log_var."""
    service = service_of(request)
    service.check_room(request)
    form = negotiate(accept(request), NUMBER_FORMS)
    uploads = await read_uploads(request, service.limits.max_images)
    num_images = len(uploads.images)
    with service.model(request, uploads.model) as model, service.places(request, model, num_images):
        work = model.encode(
            upload_steps(service, model.runtime, uploads),
            timeout_seconds=service.timeout_seconds(request),
            finish=Step(partial(posteriors, model.runtime, form), is_short=True),
        )
        result = await result_of(request, work, has_uploads=True)
    return answer(request, result.answer, form, result)


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
        compression = service.png_compression
        rendering = Rendering(
            model.runtime,
            "reconstruct",
            form,
            compression,
            asked.output_format,
            beside=partial(_beside, compression if asked.return_input else None),
        )
        work = model.reconstruct(
            upload_steps(service, model.runtime, uploads),
            timeout_seconds=service.timeout_seconds(request),
            finish=rendering_step(rendering, num_images),
        )
        return image_answer(request, await result_of(request, work, has_uploads=True), rendering)


def _beside(compression: int | None, images: Array, outputs: Arrays) -> Sequence[Mapping[str, object]]:
    """What JSON says of each reconstruction: its figures and, where a compression is given, its original."""
    figures = reconstruction_figures(images, *outputs)
    if compression is None:
        return figures
    originals = inputs_beside(images, compression)
    return [{**of_image, **original} for of_image, original in zip(figures, originals, strict=True)]
