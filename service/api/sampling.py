"""POST /sample: latents of a seed, decoded."""

import secrets

from starlette.requests import Request
from starlette.responses import Response

from service.api.answers import Images
from service.api.bodies import read_json
from service.api.negotiation import image_form
from service.api.schemas import Prior, validated
from service.api.service import service_of
from service.api.work import image_answer, result_of
from service.errors import InvalidValue
from service.vae.runtime import Runtime
from service.vae.sampling import draw_latents

# Seeds that the server draws are whole numbers that JavaScript reads exactly.
NUM_DRAWN_SEEDS = 2**53


async def sample(request: Request) -> Response:
    """Draw images from the prior."""
    service = service_of(request)
    service.check_room(request)
    image_form(request)
    asked = validated(service.sample_request, await read_json(request))
    form = image_form(request, asked.output_format)
    seed = secrets.randbelow(NUM_DRAWN_SEEDS) if asked.seed is None else asked.seed
    with service.model(request, asked.model) as model:
        prior = chosen_prior(model.runtime, asked.prior)
        with service.places(request, model, asked.n):
            z = draw_latents(
                model.runtime.prior if prior == "fitted" else None,
                model.runtime.metadata.latent_dim,
                seed=seed,
                num=asked.n,
                temperature=asked.temperature,
            )
            work = model.decode(z, timeout_seconds=service.timeout_seconds(request))
            result = await result_of(request, work)
            provenance = {"seed": seed, "prior": prior, "temperature": asked.temperature}
            images = Images(
                model.runtime,
                result.outputs[0],
                "sample",
                service.png_compression,
                asked.output_format,
                provenance,
            )
            return await image_answer(request, images, result, form)


def chosen_prior(runtime: Runtime, asked: Prior | None) -> Prior:
    """What is drawn from: what was asked for, else the best that the model has.

    Raises:
        InvalidValue: The model has none such.
    """
    if asked == "fitted" and runtime.prior is None:
        problem = f"prior must be 'standard', got 'fitted': {runtime.metadata.name} holds no fitted prior"
        raise InvalidValue(problem, param="prior", code="prior-not-there")
    return asked or runtime.metadata.prior
