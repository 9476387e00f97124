"""What the service says of itself as JSON: its health, its models and the limits of a request."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from service.api.service import Limits
from service.engine.engine import Engine
from service.metadata import Metadata
from service.vae.operations import Operation
from service.vae.precision import Precision

Status = Literal["ok", "ready", "draining", "stuck", "failed"]


class Health(BaseModel):
    """The answer to a probe; the HTTP status says the same."""

    status: Status
    detail: str = Field("", description="What is wrong, where something is")


class ModelDescription(Metadata):
    """The metadata of a checkpoint, and how it is served."""

    # What a later version adds is no fault of this one's clients.
    model_config = ConfigDict(extra="ignore")

    model_version: str
    sha256: str
    device: str
    precision: Precision
    encode_precision: Precision
    buckets: dict[Operation, list[int]]
    max_queued_items: int


class RequestLimits(BaseModel):
    """What one request may ask for."""

    max_images: int
    max_body_bytes: int
    max_image_pixels: int
    max_image_side: int
    max_decode_bytes: int
    request_timeout_seconds: float


class ModelsAnswer(BaseModel):
    """Every model, the name of the default one, and the limits of a request."""

    data: list[ModelDescription]
    default: str
    limits: RequestLimits


def describe(engine: Engine) -> ModelDescription:
    """What is served by an engine."""
    runtime = engine.runtime
    return ModelDescription(
        **dict(runtime.metadata),
        model_version=runtime.version,
        sha256=runtime.sha256,
        device=str(runtime.device),
        precision=runtime.precision,
        encode_precision=runtime.encode_precision,
        buckets={operation: list(sizes) for operation, sizes in runtime.seconds.items()},
        max_queued_items=engine.admission.max_items,
    )


def describe_limits(limits: Limits) -> RequestLimits:
    """What one request may ask for."""
    return RequestLimits(
        max_images=limits.max_images,
        max_body_bytes=limits.max_body_bytes,
        max_image_pixels=limits.image.max_pixels,
        max_image_side=limits.image.max_side,
        max_decode_bytes=limits.image.max_decode_bytes,
        request_timeout_seconds=limits.request_timeout_seconds,
    )
