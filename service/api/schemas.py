"""Request bodies that are validated field by field, and the shapes of JSON answers for the documents."""

import functools
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SkipValidation,
    StrictBool,
    create_model,
)

from service.interpolation import Mode
from service.vae.noise import MAX_SEED


def _no_bool_or_text(value: object) -> object:
    """JSON Schema's integer: 4 and 4.0, but neither "4" nor true."""
    if isinstance(value, bool | str):
        raise ValueError("must be a number")
    return value


Integer = Annotated[int, BeforeValidator(_no_bool_or_text)]
# The limits stand before the validator, since the JSON schema of an optional field loses them after it.
Seed = Annotated[int, Field(ge=0, le=MAX_SEED), BeforeValidator(_no_bool_or_text)]
Number = Annotated[float, BeforeValidator(_no_bool_or_text), Field(allow_inf_nan=False)]
OutputFormat = Literal["png", "jpeg", "webp"]
Prior = Literal["fitted", "standard"]
FORMAT_DESCRIPTION = "What image files are in JSON, zip and tar, and where `Accept` leaves it open"
MODEL_DESCRIPTION = "Absent, the default one"
STEPS_DESCRIPTION = "How many images, both ends among them"
DEFAULT_STEPS = 8


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SampleRequest(_Body):
    """What to draw. Image i depends on (seed, i) alone: not on n, on the load or on a restart."""

    n: Integer = Field(1, ge=1, description="How many images")
    seed: Seed | None = Field(None, description="The server draws one and returns it where it is absent")
    temperature: Number = Field(
        1.0,
        ge=0,
        le=2,
        description="Factor on the standard deviation, of a fitted prior within its components",
    )
    prior: Prior | None = Field(
        None,
        description="What is drawn from; absent, fitted where the model has that, else the standard normal",
    )
    output_format: OutputFormat = Field("png", description=FORMAT_DESCRIPTION)
    return_z: StrictBool = Field(False, description="Whether JSON says the z of each image, for /decode")
    model: str | None = Field(None, max_length=64, description=MODEL_DESCRIPTION)


class ImageOptions(_Body):
    """What may be asked of images in an answer."""

    output_format: OutputFormat = Field("png", description=FORMAT_DESCRIPTION)


class DecodeRequest(ImageOptions):
    """Latents to decode."""

    # Not validated here but as one array, in bodies.latents.
    z: SkipValidation[list[list[float]]] = Field(description="One row of latent_dim numbers an image")
    model: str | None = Field(None, max_length=64, description=MODEL_DESCRIPTION)


class InterpolateOptions(ImageOptions):
    """How to get from one image to another."""

    steps: Integer = Field(DEFAULT_STEPS, ge=2, description=STEPS_DESCRIPTION)
    mode: Mode = Field("slerp", description="Turning at a steady angle, or straight")


class InterpolateRequest(InterpolateOptions):
    """Two ends, each a seed or a latent, and how to get from one to the other."""

    # Not validated here but once the latent size is known, in bodies.end.
    start: SkipValidation[int | list[float]] = Field(
        alias="from", description="A seed, whose first sample it is, or latent_dim numbers"
    )
    end: SkipValidation[int | list[float]] = Field(alias="to", description="Likewise")
    prior: Prior | None = Field(None, description="What a seed draws from; see /sample")
    model: str | None = Field(None, max_length=64, description=MODEL_DESCRIPTION)


class ReconstructOptions(ImageOptions):
    """What may go with the images of /reconstruct."""

    return_input: StrictBool = Field(
        False, description="Whether JSON shows each image also as the network saw it, cropped and resized"
    )


class ImageItem(BaseModel):
    """One image of an answer."""

    index: int
    b64_json: str = Field(description="The file, base64")
    mse: float | None = Field(None, description="Of /reconstruct: of pixels in [0, 1]")
    psnr: float | None = Field(None, description="Of /reconstruct: in dB, null where nothing was lost")
    kl: float | None = Field(None, description="Of /reconstruct: to the standard normal prior, in nats")
    z: list[float] | None = Field(None, description="Of /sample with return_z: what was decoded")
    input_b64_json: str | None = Field(
        None, description="Of /reconstruct with return_input: what was encoded, a PNG file, base64"
    )


class ImagesAnswer(BaseModel):
    """Images as JSON."""

    model: str
    model_version: str
    created: int = Field(description="Unix time in seconds")
    seed: int | None = Field(None, description="Of /sample")
    prior: Prior | None = Field(None, description="What a seed was drawn from")
    temperature: float | None = Field(None, description="Of /sample")
    start: str | None = Field(None, alias="from", description="Of /interpolate: `seed N`, `z` or `image`")
    end: str | None = Field(None, alias="to", description="Of /interpolate, likewise")
    mode: Mode | None = Field(
        None, description="Of /interpolate: the way taken, which is straight where there is no angle"
    )
    output_format: OutputFormat
    size: str = Field(description="Width x height in pixels")
    data: list[ImageItem]


class Posterior(BaseModel):
    """The approximate posterior of one image."""

    index: int
    mu: list[float]
    log_var: list[float]


class EncodeAnswer(BaseModel):
    """Posteriors as JSON."""

    model: str
    model_version: str
    created: int
    latent_dim: int
    data: list[Posterior]


class Score(BaseModel):
    """How one image compares with the data that the model learnt from."""

    index: int
    elbo: float = Field(
        description="-distortion - rate, in nats; for single images no measure of strangeness"
    )
    rate: float = Field(description="KL(q(z|x) || N(0, I)), in nats")
    distortion: float = Field(description="-log p(x|z), in nats, the mean of two latents of the posterior")
    mse: float = Field(description="Of pixels in [0, 1], decoded from mu")
    anomaly: float | None = Field(
        description="The larger, the stranger: 3 on average for images like the model's own data, each 1 more"
        " is e times as rare; null where the checkpoint holds no distribution of scores"
    )
    percentile: float | None = Field(
        description="The share of the model's validation images that are less strange, in percent"
    )


class ScoresAnswer(BaseModel):
    """Scores as JSON."""

    model: str
    model_version: str
    created: int
    data: list[Score]


class Problem(BaseModel):
    """Every error, as `application/problem+json` (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    param: str | None
    request_id: str


@functools.cache
def interpolate_bodies(max_images: int) -> tuple[type[InterpolateRequest], type[InterpolateOptions]]:
    """InterpolateRequest and InterpolateOptions with this server's limit on steps."""
    most = max(2, max_images)
    limited = (Integer, Field(min(DEFAULT_STEPS, most), ge=2, le=most, description=STEPS_DESCRIPTION))
    return (
        create_model(
            "InterpolateRequest",
            __base__=InterpolateRequest,
            __doc__=InterpolateRequest.__doc__,
            steps=limited,
        ),
        create_model(
            "InterpolateOptions",
            __base__=InterpolateOptions,
            __doc__=InterpolateOptions.__doc__,
            steps=limited,
        ),
    )


def sample_request(max_images: int) -> type[SampleRequest]:
    """SampleRequest with this server's limit on n."""
    limited = Field(1, ge=1, le=max_images, description="How many images")
    return create_model(
        "SampleRequest", __base__=SampleRequest, __doc__=SampleRequest.__doc__, n=(Integer, limited)
    )
