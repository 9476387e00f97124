"""POST /interpolate: the images on the way from one latent to another.

The ends are seeds or latents in JSON, or two uploaded images, which are encoded first.

Shapes: D latent size.
"""

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from service.api.answers import Rendering, check_finite
from service.api.bodies import end
from service.api.negotiation import image_form
from service.api.query import with_query
from service.api.sampling import chosen_prior, drawn_latents
from service.api.schemas import InterpolateOptions, InterpolateRequest, interpolate_bodies
from service.api.service import service_of
from service.api.uploads import Uploads, read_pair, upload_options
from service.api.validation import unknown_field, validated
from service.api.work import image_answer, rendering_step, result_of, upload_steps
from service.engine.engine import Engine
from service.engine.jobs import Result
from service.interpolation import interpolate as steps_between
from service.scripted import Float32Array
from service.vae.runtime import Runtime


class Ends(NamedTuple):
    """Where to begin and where to end.

    Attributes:
        start: float32 (D,).
        end: float32 (D,).
        provenance: What they were given as.
        encoded: What the device made of images, where they were images.
    """

    start: Float32Array
    end: Float32Array
    provenance: Mapping[str, str]
    encoded: Result | None = None


async def interpolate(request: Request) -> Response:
    """Decode the way from one seed, latent or image to another."""
    service = service_of(request)
    service.check_room(request)
    image_form(request)
    asked, source = await _read(request, service.limits.max_images)
    form = image_form(request, asked.output_format)
    with service.model(request, source.model) as model, service.places(request, model, asked.steps):
        if isinstance(source, Uploads):
            ends = await _encoded_ends(request, model, source)
        else:
            ends = _given_ends(source, model.runtime)
        z, mode = steps_between(ends.start, ends.end, num_steps=asked.steps, mode=asked.mode)
        rendering = Rendering(
            model.runtime,
            "interpolate",
            form,
            service.png_compression,
            asked.output_format,
            {**ends.provenance, "mode": mode},
        )
        finish = rendering_step(rendering, asked.steps)
        work = model.decode(z, timeout_seconds=service.timeout_seconds(request), finish=finish)
        result = _together(ends.encoded, await result_of(request, work))
        return image_answer(request, result, rendering)


async def _read(request: Request, max_images: int) -> tuple[InterpolateOptions, InterpolateRequest | Uploads]:
    """How to get from end to end, and what has the ends."""
    whole, options = interpolate_bodies(max_images)
    found = await read_pair(request)
    if not isinstance(found, Uploads):
        asked = validated(whole, with_query(request, found, options))
        return asked, asked
    known = ["images", *options.model_fields, "model"]
    for name in found.fields:
        if name not in known:  # from or to, perhaps: the ends cannot be both
            raise unknown_field(name, known)
    return upload_options(request, found, options), found


def _given_ends(asked: InterpolateRequest, runtime: Runtime) -> Ends:
    latent_dim = runtime.metadata.latent_dim
    prior = chosen_prior(runtime, asked.prior)
    z: list[Float32Array] = []
    provenance: dict[str, str] = {}
    for name, value in {"from": asked.start, "to": asked.end}.items():
        given = end(value, name, latent_dim)
        if isinstance(given, int):
            provenance |= {name: f"seed {given}", "prior": prior}
            given = drawn_latents(runtime, prior, seed=given)[0]
        else:
            provenance[name] = "z"
        z.append(given)
    return Ends(z[0], z[1], provenance)


async def _encoded_ends(request: Request, model: Engine, uploads: Uploads) -> Ends:
    service = service_of(request)
    steps = upload_steps(service, model.runtime, uploads)
    work = model.encode(steps, timeout_seconds=service.timeout_seconds(request))
    encoded = await result_of(request, work, has_uploads=True)
    mu = encoded.outputs[0]
    check_finite(mu)
    return Ends(mu[0], mu[1], {"from": "image", "to": "image"}, encoded)


def _together(first: Result | None, last: Result) -> Result:
    """The last result, with the time of both."""
    if first is None:
        return last
    return dataclasses.replace(
        last,
        queue_seconds=first.queue_seconds + last.queue_seconds,
        device_seconds=first.device_seconds + last.device_seconds,
        prepare_seconds=first.prepare_seconds + last.prepare_seconds,
    )
