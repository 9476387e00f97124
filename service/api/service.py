"""What every route needs, built once by app.py."""

import dataclasses

from starlette.requests import Request

from service.api.codecs import Codecs
from service.api.schemas import SampleRequest
from service.engine.engine import Engine
from service.errors import ModelNotFound
from service.metrics import Metrics


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

    def check_model(self, name: str | None) -> None:
        """Raise ModelNotFound unless `name` is the model that is served, or None."""
        served = self.engine.runtime.metadata.name
        if name not in (None, served):
            raise ModelNotFound(f"no model of this name is served, only {served}", param="model")


def service_of(request: Request) -> Service:
    """The parts of the app that a request came to."""
    service: Service = request.app.state.service
    return service
