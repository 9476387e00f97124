"""POST /score: how images compare with the data that a model learnt from; see service.scoring."""

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from service.api.answers import scores
from service.api.negotiation import SCORE_FORMS, accept, negotiate
from service.api.service import service_of
from service.api.uploads import read_uploads
from service.api.work import MAX_SHORT_ROWS, answer, result_of, upload_steps
from service.engine.steps import Step
from service.errors import InvalidValue
from service.scoring.likelihood import shown_images
from service.vae.operations import Operation
from service.vae.runtime import Runtime

# What gives a checkpoint its likelihood, by the origin of its weights.
REMEDIES = {
    "adopted": "adopt it again with `vae-service adopt ... --likelihood NAME --likelihood-scale S`",
    "trained": "export it again with `python -m training export`",
}


async def score(request: Request) -> Response:
    """Say how images compare with the data that the model learnt from."""
    service = service_of(request)
    service.check_room(request)
    form = negotiate(accept(request), SCORE_FORMS)
    uploads = await read_uploads(request, service.limits.max_images)
    num_images = len(uploads.images)
    with service.model(request, uploads.model) as model, service.places(request, model, num_images):
        _check_can_score(model.runtime)
        convert = partial(shown_images, metadata=model.runtime.metadata)
        work = model.score(
            upload_steps(service, model.runtime, uploads, convert=convert),
            timeout_seconds=service.timeout_seconds(request),
            finish=Step(partial(scores, model.runtime), is_short=num_images <= MAX_SHORT_ROWS),
        )
        result = await result_of(request, work, has_uploads=True)
    return answer(request, result.answer, form, result)


def _check_can_score(runtime: Runtime) -> None:
    if Operation.SCORE not in runtime.seconds:
        metadata = runtime.metadata
        missing = "likelihood_scale" if metadata.likelihood else "likelihood"
        problem = f"{metadata.name} cannot score: its metadata holds no {missing}"
        remedy = REMEDIES[metadata.provenance.origin]
        raise InvalidValue(f"{problem}; {remedy}", param="model", code="no-likelihood")
