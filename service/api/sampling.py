"""/sample: latents of a seed, decoded. POST says what to draw in its body, GET and HEAD in their query."""

import dataclasses
from collections.abc import Mapping
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from service.api.answers import Rendering, latents_beside
from service.api.bodies import read_json
from service.api.caching import cache_control, entity_tag, is_known
from service.api.draws import new_seed
from service.api.negotiation import PICTURE_FORMS, Form, image_form
from service.api.query import query_fields
from service.api.schemas import Prior, SampleRequest
from service.api.service import service_of
from service.api.validation import validated
from service.api.work import image_answer, rendering_step, result_of
from service.engine.engine import Engine, Rows
from service.engine.steps import Step
from service.errors import InvalidValue
from service.scripted import Float32Array
from service.vae.runtime import Runtime
from service.vae.sampling import draw_latents

# The latents that are drawn where they are asked for: so few take as long as passing them on.
MAX_DRAWN_AT_ONCE = 2


@dataclasses.dataclass(frozen=True)
class Drawing:
    """What is drawn, with nothing left open."""

    num: int
    seed: int
    prior: Prior
    temperature: float
    output_format: str
    return_z: bool

    @classmethod
    def of(cls, asked: SampleRequest, runtime: Runtime) -> "Drawing":
        """What a request asks of a model; see chosen_prior."""
        seed = new_seed() if asked.seed is None else asked.seed
        prior = chosen_prior(runtime, asked.prior)
        return cls(asked.n, seed, prior, asked.temperature, asked.output_format, asked.return_z)

    @property
    def provenance(self) -> Mapping[str, str | float]:
        """What makes the same images again."""
        return {"seed": self.seed, "prior": self.prior, "temperature": self.temperature}

    def rows(self, runtime: Runtime) -> Rows:
        """Latents, float32 (N, D); drawn at once where they are so few that passing it on takes as long."""
        draw = partial(
            drawn_latents, runtime, self.prior, seed=self.seed, num=self.num, temperature=self.temperature
        )
        return draw() if self.num <= MAX_DRAWN_AT_ONCE else [Step(draw, is_short=True)]


async def sample(request: Request) -> Response:
    """Draw images from the prior."""
    service = service_of(request)
    service.check_room(request)
    image_form(request)
    asked = validated(service.sample_request, await read_json(request))
    form = image_form(request, asked.output_format)
    with service.model(request, asked.model) as model:
        return await _draw(request, model, Drawing.of(asked, model.runtime), form)


async def get_sample(request: Request) -> Response:
    """Draw images from the prior, as POST does; with a seed the answer may be kept."""
    asked = await _asked_in_query(request)
    form = image_form(request, asked.output_format)
    with service_of(request).model(request) as model:
        drawing = Drawing.of(asked, model.runtime)
        headers = _cache_headers(request, model, asked, drawing, form)
        if is_known(request, headers):
            return Response(status_code=304, headers=headers)
        answer = await _draw(request, model, drawing, form)
    answer.headers.update(headers)
    return answer


async def head_sample(request: Request) -> Response:
    """Say what GET would say, and draw nothing."""
    asked = await _asked_in_query(request)
    form = image_form(request, asked.output_format)
    with service_of(request).model(request) as model:
        drawing = Drawing.of(asked, model.runtime)
        headers = _cache_headers(request, model, asked, drawing, form)
    status = 304 if is_known(request, headers) else 200
    answer = Response(status_code=status, headers=headers, media_type=form if status == 200 else None)
    if status == 200:
        answer.headers["X-Seed"] = str(drawing.seed)
        del answer.headers["Content-Length"]  # nobody knows it before the images are drawn
        if form in PICTURE_FORMS and drawing.num > 1:
            answer.headers["X-Layout"] = "grid"
    return answer


def chosen_prior(runtime: Runtime, asked: Prior | None) -> Prior:
    """What is drawn from: what was asked for, else the best that the model has.

    Raises:
        InvalidValue: The model has none such.
    """
    if asked == "fitted" and runtime.prior is None:
        problem = f"prior must be 'standard', got 'fitted': {runtime.metadata.name} holds no fitted prior"
        raise InvalidValue(problem, param="prior", code="prior-not-there")
    return asked or runtime.metadata.prior


def drawn_latents(
    runtime: Runtime, prior: Prior, *, seed: int, num: int = 1, temperature: float = 1.0
) -> Float32Array:
    """Latents of a seed, float32 (N, D), from a prior that the model has; see draw_latents."""
    mixture = runtime.prior if prior == "fitted" else None
    latent_dim = runtime.metadata.latent_dim
    return draw_latents(mixture, latent_dim, seed=seed, num=num, temperature=temperature)


async def _draw(request: Request, model: Engine, drawing: Drawing, form: Form) -> Response:
    service = service_of(request)
    rendering = Rendering(
        model.runtime,
        "sample",
        form,
        service.png_compression,
        drawing.output_format,
        drawing.provenance,
        beside=latents_beside if drawing.return_z else None,
    )
    with service.places(request, model, drawing.num):
        work = model.decode(
            drawing.rows(model.runtime),
            timeout_seconds=service.timeout_seconds(request),
            finish=rendering_step(rendering, drawing.num),
        )
        return image_answer(request, await result_of(request, work), rendering)


async def _asked_in_query(request: Request) -> SampleRequest:
    """What is asked for in the query, but for the model, which Service.model reads there."""
    await request.body()  # nobody has a use for one, but it is bounded as any other
    fields = {name: value for name, value in query_fields(request).items() if name != "model"}
    return validated(service_of(request).sample_request, fields)


def _cache_headers(
    request: Request, model: Engine, asked: SampleRequest, drawing: Drawing, form: Form
) -> dict[str, str]:
    """What an answer says to caches: nothing where its seed is drawn anew each time."""
    if asked.seed is None:
        return {}
    tag = entity_tag(request, model.runtime, dataclasses.astuple(drawing), form)
    return {"ETag": tag, "Cache-Control": cache_control(request)}
