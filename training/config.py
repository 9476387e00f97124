"""Everything that decides a training run, as frozen values: a preset (YAML) with changes on top.

`Config` is stored whole in every Lightning checkpoint, and, without the machine's own paths, in every
exported one, so that a checkpoint always says how it was made.
"""

import difflib
import math
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from service.metadata import Preprocessing
from training.errors import ConfigError

PRESETS = Path(__file__).parent / "presets"

# Keys whose values are taken as they are; those of others are YAML. 2024 is a name, and "a #1" a folder.
TEXTS = ("name", "data.root", "data.license")
NOTHING = "null"

DatasetName = Literal["sprites", "mnist", "static-mnist", "fashion-mnist", "celeba", "folder"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class DataConfig(_Frozen):
    """Which images, and how a picture becomes an input of the network.

    `root` is the folder that holds the data set, None for sprites. `limit` keeps so many training images
    (and as many for validation at most). `binarize` draws every pixel from its grey value: anew at each use
    in training, once for validation (Salakhutdinov & Murray 2008). What the encoder is shown in training may
    be spoilt, what it is to come back to is not (denoising, Vincent et al. 2008): `noise` is the standard
    deviation of Gaussian noise on it, in [0, 1] pixels, `mask` the share of its pixels that are blacked out.
    """

    dataset: DatasetName
    license: str | None = None
    root: Path | None = None
    image_shape: tuple[PositiveInt, PositiveInt, PositiveInt]
    preprocessing: Preprocessing = Preprocessing()
    flip: bool = False
    binarize: bool = False
    noise: Annotated[float, Field(ge=0, le=1)] = 0.0
    mask: Annotated[float, Field(ge=0, lt=1)] = 0.0
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1
    limit: PositiveInt | None = None

    @model_validator(mode="after")
    def _has_a_folder_layout(self) -> "DataConfig":
        if self.image_shape[0] not in (1, 2, 3, 4):
            raise ValueError("image_shape is (channels, height, width) with 1, 2 (LA), 3 (RGB) or 4 channels")
        return self


class ModelConfig(_Frozen):
    """The network: `architecture` is a key of `training.models.MODELS`.

    `hidden_channels` are those of each stage of the encoder, finest first; of `mlp`, sizes of hidden layers.
    """

    architecture: Literal["vanilla", "residual", "mlp"] = "residual"
    latent_dim: PositiveInt
    hidden_channels: Annotated[tuple[PositiveInt, ...], Field(min_length=1)]


class LossConfig(_Frozen):
    """The objective, in nats an image.

    `elbo` is -log p(x|z) + kl_weight * KL; `iwae` the importance-weighted bound; both of them over
    `num_importance_samples` latents an image. `autoencoder` has -log p(x|mu) alone: no noise, no prior.

    `scale`, in units of the pixel range [0, 1], is sigma of the Gaussian likelihood and s of the discretized
    logistic one; "learned" makes it a weight, "optimal" takes the sigma that fits the data best (sigma-VAE).
    `kl_warmup_epochs` raises the KL weight linearly from zero. `free_bits` are the nats that each latent unit
    may spend for nothing, on average over a batch (Kingma et al. 2016).
    """

    objective: Literal["elbo", "iwae", "autoencoder"] = "elbo"
    num_importance_samples: PositiveInt = 1
    likelihood: Literal["gaussian", "bernoulli", "discretized_logistic"] = "gaussian"
    scale: PositiveFloat | Literal["optimal", "learned"] = "optimal"
    kl_weight: Annotated[float, Field(ge=0)] = 1.0
    kl_warmup_epochs: Annotated[float, Field(ge=0)] = 0.0
    free_bits: Annotated[float, Field(ge=0)] = 0.0

    @model_validator(mode="after")
    def _fits_together(self) -> "LossConfig":
        if self.likelihood == "discretized_logistic" and self.scale == "optimal":
            raise ValueError("scale=optimal is for the Gaussian likelihood; use scale=learned or a number")
        if self.objective == "iwae" and (self.kl_weight != 1 or self.free_bits or self.kl_warmup_epochs):
            raise ValueError("objective=iwae has no KL term to weigh: leave kl_weight at 1, the others at 0")
        return self


class PriorConfig(_Frozen):
    """The mixture of Gaussians that is fitted to the latents after training; `components` 0 for none."""

    components: Annotated[int, Field(ge=0)] = 10


class OptimizerConfig(_Frozen):
    """Adam (AdamW where `weight_decay` is not 0), its learning rate rising over `warmup_steps`.

    After that `schedule` "cosine" brings it to zero with the last step, "exponential" multiplies it by
    `gamma` after each epoch. `clip_norm` bounds the norm of the gradient, None for no bound; a step whose
    gradient is not finite is skipped and counted. `ema_decay` averages the weights over the steps, None for
    no average; the average is what is validated, saved and exported.
    """

    epochs: PositiveInt
    batch_size: PositiveInt = 64
    learning_rate: PositiveFloat = 1e-3
    schedule: Literal["cosine", "exponential"] = "cosine"
    gamma: Annotated[float, Field(gt=0, le=1)] = 1.0
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    clip_norm: PositiveFloat | None = None
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = None


class MachineConfig(_Frozen):
    """What belongs to the machine and changes no result on purpose; not part of a checkpoint's provenance.

    `workers` are threads that gather batches ahead where the images do not fit the device, 0 for none.
    `save_minutes` is how often a run is saved within an epoch, beside at the end of each.
    `precision` is that of the network's arithmetic: auto is bfloat16 where CUDA has it, else float32.
    """

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    devices: PositiveInt = 1
    workers: Annotated[int, Field(ge=0)] = 2
    save_minutes: PositiveFloat = 10.0
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"


class Config(_Frozen):
    """One training run. `name` is that of its run folder and of the exported checkpoint."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    preset: str
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 1265
    data: DataConfig
    model: ModelConfig
    loss: LossConfig = LossConfig()
    prior: PriorConfig = PriorConfig()
    optimizer: OptimizerConfig
    machine: MachineConfig = MachineConfig()

    @model_validator(mode="after")
    def _bernoulli_needs_binary_pixels(self) -> "Config":
        if self.loss.likelihood == "bernoulli" and not self.data.binarize:
            raise ValueError(
                "loss.likelihood=bernoulli is a density of binary pixels: set data.binarize=true"
            )
        return self


def preset_names() -> list[str]:
    """Names of the presets that ship, in alphabetical order."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))


def load_preset(name: str, *, changes: Mapping[str, Any] | None = None) -> Config:
    """A shipped preset with changes on top.

    Args:
        name: One of `preset_names()`.
        changes: Dotted key to value, such as `{"optimizer.epochs": 3}`; strings are read as YAML, but
            those of TEXTS as they are.

    Raises:
        ConfigError: Naming the preset or the key, with the nearest right one, or the value with its limit.
    """
    if name not in preset_names():
        raise ConfigError(f"there is no preset {name!r}{_nearest(name, preset_names())}")
    values = yaml.safe_load((PRESETS / f"{name}.yaml").read_text())
    return build_config({"name": name, "preset": name, **values}, changes=changes)


def build_config(values: Mapping[str, Any], *, changes: Mapping[str, Any] | None = None) -> Config:
    """A checked config from nested values, with dotted changes on top.

    Raises:
        ConfigError: Naming the first key or value that is wrong.
    """
    merged = dict(values)
    for key, value in (changes or {}).items():
        if key not in config_keys() and key not in Config.model_fields:
            raise ConfigError(f"there is no key {key!r}{_nearest(key, config_keys())}")
        merged = _with_change(merged, key.split("."), _read(key, value))
    try:
        return Config.model_validate(merged)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        first, key = errors[0], _key_of(errors[0])
        if first["type"] == "extra_forbidden":
            raise ConfigError(f"there is no key {key!r}{_nearest(key, config_keys())}") from None
        problems = ", or: ".join(each["msg"] for each in errors if _key_of(each) == key)
        raise ConfigError(f"{key}: {problems}".removeprefix(": ")) from None


def config_keys() -> list[str]:
    """All keys that `--set` takes, dotted."""
    return list(_flatten(Config.model_fields, Config))


def leaves(values: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """Dotted keys and values of nested ones."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def command_line(config: Config) -> str:
    """The command that repeats a run: the preset and what was changed, with DIR for the data folder."""
    preset = dict(leaves(load_preset(config.preset).model_dump(mode="json")))
    parts = ["python -m training train --preset", config.preset]
    if config.data.root is not None:
        parts.append("--data DIR")
    if config.name != config.preset:
        parts.append(f"--name {config.name}")
    for key, value in leaves(config.model_dump(mode="json")):
        own = key in ("name", "preset", "data.root") or key.startswith("machine.")
        if not own and value != preset[key]:
            parts.append(f"--set {shlex.quote(f'{key}={_as_word(key, value)}')}")
    return " ".join(parts)


def _with_change(values: dict[str, Any], path: list[str], value: Any) -> dict[str, Any]:  # noqa: ANN401
    head, *rest = path
    if not rest:
        return {**values, head: value}
    inner = values.get(head) or {}
    if not isinstance(inner, Mapping):
        inner = {}
    return {**values, head: _with_change(dict(inner), rest, value)}


def _key_of(error: ErrorDetails) -> str:
    """Dotted, less pydantic's names for the branches of a union, such as literal['none']."""
    return ".".join(str(part) for part in error["loc"] if str(part).isidentifier() or isinstance(part, int))


def _read(key: str, value: Any) -> Any:  # noqa: ANN401
    """A value as it is, but a word of the command line as what it says."""
    if not isinstance(value, str):
        return value
    if key in TEXTS:
        return None if value == NOTHING else value
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError:
        raise ConfigError(f"{value!r} is no value that YAML knows") from None


def _flatten(fields: Mapping[str, Any], model: type[BaseModel], prefix: str = "") -> Iterable[str]:
    for name in fields:
        annotation = model.model_fields[name].annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from _flatten(annotation.model_fields, annotation, f"{prefix}{name}.")
        else:
            yield prefix + name


def _as_word(key: str, value: object) -> str:
    """A value as `--set` reads it back."""
    if key in TEXTS:
        return NOTHING if value is None else str(value)
    dumped: str = yaml.safe_dump(value, default_flow_style=True, width=math.inf)
    return dumped.removesuffix("\n").removesuffix("\n...").replace(", ", ",")


def _nearest(wrong: str, right: list[str]) -> str:
    """'; did you mean ...?', or the whole list where nothing is near."""
    by_last_word = {name.split(".")[-1]: name for name in right}
    close = difflib.get_close_matches(wrong, right, n=1) or [
        by_last_word[word] for word in difflib.get_close_matches(wrong.split(".")[-1], by_last_word, n=1)
    ]
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(right)}"
