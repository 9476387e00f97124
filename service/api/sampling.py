"""POST /sample: latents of a seed, decoded."""

import secrets

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from service.api.bodies import read_json
from service.api.negotiation import IMAGE_FORMS, accept, negotiate
from service.api.schemas import validated
from service.api.service import service_of
from service.api.work import image_answer, result_of
from service.vae.noise import draw_noise

# Seeds that the server draws are whole numbers that JavaScript reads exactly.
NUM_DRAWN_SEEDS = 2**53


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
        result = await result_of(request, work)
        return await image_answer(request, model.runtime, result, form, "sample", seed=seed)
