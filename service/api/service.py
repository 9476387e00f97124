"""What every route needs, built once by app.py."""

import dataclasses
import re

from starlette.requests import Request

from service.api.codecs import Codecs
from service.api.schemas import SampleRequest
from service.engine.engine import Engine
from service.errors import InvalidValue, ModelNotFound
from service.metrics import Metrics

TIMEOUT_HEADER = "X-Request-Timeout-Ms"


@dataclasses.dataclass(frozen=True)
class Limits:
    """What one request may ask for.

    Attributes:
        max_images: Images, or n.
        max_body_bytes: Bytes of its body.
        max_image_pixels: Pixels of an uploaded image.
        request_timeout_seconds: It waits no longer in the queue.
    """

    max_images: int
    max_body_bytes: int
    max_image_pixels: int
    request_timeout_seconds: float


@dataclasses.dataclass(frozen=True)
class Service:
    """The parts behind the routes.

    Attributes:
        engine: The model that answers.
        codecs: Threads for image files.
        metrics: Where to count.
        limits: Of one request.
        png_compression: 0 to 3.
        sample_request: The body of /sample with this server's limits.
    """

    engine: Engine
    codecs: Codecs
    metrics: Metrics
    limits: Limits
    png_compression: int
    sample_request: type[SampleRequest]

    def timeout_seconds(self, request: Request) -> float:
        """How long a request may take: what X-Request-Timeout-Ms says, capped by the server's own limit.

        Raises:
            InvalidValue: The header is not a positive number.
        """
        sent = request.headers.get(TIMEOUT_HEADER)
        if sent is None:
            return self.limits.request_timeout_seconds
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,3})?", sent) or float(sent) == 0:
            problem = f"{TIMEOUT_HEADER} must be a positive number of milliseconds, got {sent[:40]!r}"
            raise InvalidValue(problem, param=TIMEOUT_HEADER, code="timeout-out-of-range")
        return min(float(sent) / 1000, self.limits.request_timeout_seconds)

    def check_model(self, name: str | None) -> None:
        """Raise ModelNotFound unless `name` is the model that is served, or None."""
        served = self.engine.runtime.metadata.name
        if name not in (None, served):
            raise ModelNotFound(f"no model of this name is served, only {served}", param="model")


def service_of(request: Request) -> Service:
    """The parts of the app that a request came to."""
    service: Service = request.app.state.service
    return service
