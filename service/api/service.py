"""What every route needs, built once by app.py."""

import dataclasses
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from starlette.requests import Request

from service.api.deadline import deadline_of
from service.api.schemas import SampleRequest
from service.engine.codecs import Codecs
from service.engine.engine import Engine
from service.engine.models import Models
from service.engine.reloader import Reloader
from service.errors import InvalidValue
from service.metrics import Metrics
from service.vae.images import ImageLimits


@dataclasses.dataclass(frozen=True)
class Limits:
    """What one request may ask for.

    Attributes:
        max_images: Images, or n.
        max_body_bytes: Bytes of its body.
        image: Of each uploaded image.
        request_timeout_seconds: From its arrival to its answer.
    """

    max_images: int
    max_body_bytes: int
    image: ImageLimits
    request_timeout_seconds: float


@dataclasses.dataclass(frozen=True)
class Service:
    """The parts behind the routes.

    Attributes:
        models: The models that answer.
        reloader: Exchanges them when their files change.
        codecs: Threads for image files that take long.
        metrics: Where to count.
        limits: Of one request.
        png_compression: 0 to 3.
        sample_request: The body of /sample with this server's limits.
    """

    models: Models
    reloader: Reloader
    codecs: Codecs
    metrics: Metrics
    limits: Limits
    png_compression: int
    sample_request: type[SampleRequest]

    def timeout_seconds(self, request: Request) -> float:
        """How long a request may still take; raises as Deadline.check does."""
        return deadline_of(request.scope).check()

    @contextmanager
    def model(self, request: Request, name: str | None = None) -> Iterator[Engine]:
        """Hold the model that a request is for: named in its body, or by ?model=, or the default.

        Raises:
            ModelNotFound: There is none of that name.
            InvalidValue: Body and query name different ones.
        """
        asked = request.query_params.get("model") if request.scope["query_string"] else None
        if asked and name and self.models[asked] is not self.models[name]:
            raise InvalidValue("model is one in the body and another in the query", param="model")
        with self.models.use(name or asked) as engine:
            request.scope["model_version"] = engine.runtime.version
            yield engine

    def places(self, request: Request, engine: Engine, num_items: int) -> AbstractContextManager[None]:
        """Hold places for the items of a request; see Admission.places."""
        return engine.admission.places(num_items, timeout_seconds=self.timeout_seconds(request))

    def check_room(self, request: Request) -> None:
        """Refuse a request before its body is read, where no model has a place for anything.

        Raises:
            QueueFull: So it is.
        """
        timeout_seconds = self.timeout_seconds(request)
        first, *others = (
            engine.admission.refusal(1, timeout_seconds=timeout_seconds) for engine in self.models
        )
        if first and all(others):
            raise first


def service_of(request: Request) -> Service:
    """The parts of the app that a request came to."""
    service: Service = request.app.state.service
    return service
