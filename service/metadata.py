"""What a checkpoint says of itself: shapes, preparation, provenance, measured quality.

A frozen pydantic model, stored as metadata.json inside the checkpoint. A change of meaning raises
FORMAT_VERSION; a service refuses what is newer than it reads.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    JsonValue,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    WithJsonSchema,
    field_validator,
)

from service.errors import InvalidCheckpoint

FORMAT_VERSION = 1
NUM_QUANTILES = 101

Likelihood = Literal["gaussian", "bernoulli", "discretized_logistic"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Preprocessing(_Frozen):
    """How a picture becomes an input of the network: crop, then bilinear resize to the image shape.

    `crop`: "none" resizes the whole frame, changing its aspect; "square" takes the largest centred
    square; a number takes the centred square of so many pixels (the largest one where a side is shorter).
    """

    crop: Literal["none", "square"] | PositiveInt = "square"


class Provenance(_Frozen):
    """Where the weights come from; what nobody said is absent.

    `origin`: "trained" is of this project's training, which says all of it. "adopted" is of a TorchScript
    file from elsewhere, whose digest is `source_sha256`; `command` is the one that adopted it.
    `validation_fingerprint` is a checksum of the images that were held out: those of another one may not be.
    """

    origin: Literal["trained", "adopted"] = "trained"
    source_sha256: str | None = None
    dataset: str | None = None
    dataset_license: str | None = None
    num_training_images: PositiveInt | None = None
    validation_fingerprint: NonNegativeInt | None = None
    preset: str | None = None
    command: str
    config: dict[str, JsonValue] = {}
    commit: str | None = None
    epochs: int | None = None
    steps: int | None = None
    torch_version: str | None = None


Quantiles = Annotated[tuple[FiniteFloat, ...], Field(min_length=NUM_QUANTILES, max_length=NUM_QUANTILES)]


class ScoreDistribution(_Frozen):
    """How the scores of validation images are distributed; see service.scoring.

    Of each figure the quantiles at 0, 1, ..., 100 %: elbo, rate and distortion in nats, mse of pixels in
    [0, 1], the three figures that the anomaly score is made of, and that score itself.
    """

    num_images: PositiveInt
    elbo: Quantiles
    rate: Quantiles
    distortion: Quantiles
    mse: Quantiles
    latent: Quantiles
    contrast: Quantiles
    texture: Quantiles
    anomaly: Quantiles

    @field_validator("*")
    @classmethod
    def _ascending(cls, values: object) -> object:
        if isinstance(values, tuple) and list(values) != sorted(values):
            raise ValueError("quantiles must ascend")
        return values


class Metadata(_Frozen):
    """What a server must know of a checkpoint, and what a person wants to.

    `likelihood_scale` is sigma of a Gaussian likelihood, s of a discretized logistic one, in units of the
    pixel range [0, 1]; a Bernoulli likelihood has none. Without a `likelihood` nobody knows it, and no
    likelihood of an image can be told. `prior` says what to draw from: "fitted" means that
    the module holds a mixture, see service.checkpoint. `quality` holds measured figures of the validation or
    test split, one name each, nats for elbo, rate and distortion, pixels in [0, 1] for mse, and how many
    images they are of once they were evaluated (num_test_images or num_validation_images); `unit_kl` is the
    mean KL divergence of each latent unit in nats, whose sum is the rate; `scores` says how the scores of
    single validation images are distributed. `export_difference` is the
    largest difference between the eager network and the exported module on real images.
    """

    # As a number in schemas: of a constant one, generators of clients make code that is none.
    format_version: Annotated[Literal[1], WithJsonSchema({"type": "integer", "enum": [1]})] = 1
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    created_at: datetime
    architecture: str
    image_shape: tuple[Annotated[int, Field(ge=1, le=4)], PositiveInt, PositiveInt]
    latent_dim: PositiveInt
    preprocessing: Preprocessing
    likelihood: Likelihood | None = None
    likelihood_scale: PositiveFloat | None = None
    prior: Literal["standard", "fitted"] = "standard"
    provenance: Provenance
    quality: dict[str, float]
    unit_kl: tuple[float, ...] | None = None
    scores: ScoreDistribution | None = None
    export_difference: dict[str, float]


class _Version(BaseModel):
    format_version: int


def parse_metadata(text: bytes) -> Metadata:
    """Read metadata.json.

    Raises:
        InvalidCheckpoint: Naming the field that is wrong, or a newer format.
    """
    try:
        version = _Version.model_validate_json(text).format_version
        if version > FORMAT_VERSION:
            problem = f"{version} is newer than this service reads ({FORMAT_VERSION}); update the service"
            raise InvalidCheckpoint("metadata.format_version", problem)
        return Metadata.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(["metadata", *map(str, first["loc"])])
        raise InvalidCheckpoint(field, first["msg"]) from None
