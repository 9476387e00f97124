"""TorchScript VAEs from elsewhere: what one lacks to be served, and a checkpoint made of it.

    methods     what its encode and decode must be, told from their types
    trial       what it does with zeros and noise: shapes and the range of pixels
    module      the module around it that keeps the contract of service.checkpoint

It is checked as any checkpoint is (service.trust) before anything of it runs.
"""

import dataclasses
import hashlib
import math
import re
import shlex
import tempfile
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import torch
from pydantic import ValidationError

from service import checkpoint
from service.adoption.methods import lacks
from service.adoption.module import Form, PixelRange, adopted_module
from service.adoption.trial import UNIT, find_form
from service.errors import CannotAdopt
from service.metadata import Likelihood, Metadata, Preprocessing, Provenance
from service.scripted import RUN_ERRORS, VAEModule, as_vae, last_line
from service.trust.archive import Archive
from service.trust.program import Program

MAX_NAME_CHARACTERS = 64
NUM_CHECKED = 8
# By how many levels of 255 the images of a batch may differ from those decoded one by one.
MAX_LEVELS_BY_BATCH = 1

Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Told:
    """What a person says of a file from elsewhere; None is found out, or stays unknown.

    Attributes:
        image_shape: (C, H, W); found out where only one can be.
        latent_dim: Found out.
        pixel_range: What black and white are to the module; found out where it is [0, 1] or [-1, 1].
        crop: How pictures were cropped for it.
        name: Of the model; that of the file.
        likelihood: What it was trained with; unknown.
        likelihood_scale: Of it; see Metadata.
    """

    image_shape: tuple[int, int, int] | None = None
    latent_dim: int | None = None
    pixel_range: PixelRange | None = None
    crop: Literal["none", "square"] | int = "square"
    name: str | None = None
    likelihood: Likelihood | None = None
    likelihood_scale: float | None = None


def adopt(
    source: Path,
    target: Path,
    *,
    told: Told,
    say: Say,
    allowed_operators: Collection[str] = (),
) -> Metadata:
    """Make a checkpoint of a TorchScript VAE from elsewhere, whole or not at all.

    Args:
        source: The file, of which encode gives mu and log_var, and decode images.
        target: The checkpoint to write.
        told: What is known of it.
        say: Told each thing that was found out.
        allowed_operators: Operators that it may use beside those of service.trust.operators.

    Raises:
        InvalidCheckpoint: The file cannot be read, or may not be run.
        CannotAdopt: It is not such a module, or something must be said of it.
    """
    black, white = told.pixel_range or UNIT
    if black == white or not math.isfinite(black - white):
        raise CannotAdopt("--pixel-range: black and white must be two numbers")
    foreign, sha256 = _read(source, allowed_operators)
    form = find_form(
        foreign, image_shape=told.image_shape, latent_dim=told.latent_dim, pixel_range=told.pixel_range
    )
    _say_form(form, told, say)
    module = adopted_module(foreign, form)
    _check_rows(as_vae(module), form, say)
    provenance = Provenance(origin="adopted", source_sha256=sha256, command=_command(source, told))
    metadata = _metadata(
        form, told, provenance, name=told.name or _name(source), architecture=foreign.original_name
    )
    _write(target, module, metadata, allowed_operators)
    return metadata


def _read(source: Path, allowed_operators: Collection[str]) -> tuple[torch.jit.ScriptModule, str]:
    """The module in a file, once nothing speaks against running it, and the file's SHA-256."""
    content = checkpoint.read_file(source)
    archive = Archive.read(content)
    if checkpoint.is_checkpoint(archive):
        raise CannotAdopt(f"{source} is a checkpoint already: serve it as it is")
    program = Program(archive)
    program.check_operators(allowed_operators)
    for problem in lacks(program.methods):
        raise CannotAdopt(problem)
    return program.module().eval().float(), hashlib.sha256(content).hexdigest()


def _say_form(form: Form, told: Told, say: Say) -> None:
    def line(name: str, value: object, how: str) -> None:
        say(f"  {name:<12} {value!s:<12} {how}")

    shape, latent = "x".join(map(str, form.image_shape)), "x".join(map(str, form.latent_shape))
    line("image shape", shape, "as told" if told.image_shape else "as it decodes, and encodes again")
    line("latent size", form.latent_dim, f"as it encodes: {latent}")
    if form.pixel_range is None:
        line("pixels", "0 to 255", "as it decodes: uint8")
    else:
        low, high = form.pixel_range
        how = "as told" if told.pixel_range else "as it decodes; --pixel-range says otherwise"
        line("pixels", f"{low:g} to {high:g}", how)
    line("crop", told.crop, "of pictures before they are resized; --crop says otherwise")
    known = told.likelihood or "unknown"
    line("likelihood", known, "as told" if told.likelihood else "no ELBO can be told; --likelihood says it")


def _check_rows(module: VAEModule, form: Form, say: Say) -> None:
    """Refuse a module whose answer for a row depends on chance, on other rows or on how many there are."""
    noise = torch.randn(NUM_CHECKED, form.latent_dim, generator=torch.Generator().manual_seed(1))
    try:
        with torch.inference_mode():
            images = module.decode(noise)
            mu, log_var = module.encode(images)
            again = module.encode(module.decode(noise))
            rows = torch.cat([module.decode(row[None]) for row in noise])
    except RUN_ERRORS as error:
        problem = f"it fails on a batch of 1 or of {NUM_CHECKED}: {last_line(error)}"
        raise CannotAdopt(f"{problem}; a traced module must take any number of rows") from error
    if not (torch.equal(again[0], mu) and torch.equal(again[1], log_var)):
        raise CannotAdopt("it answers the same otherwise each time: call eval() before it is exported")
    if rows.shape != images.shape or int((rows.int() - images.int()).abs().max()) > MAX_LEVELS_BY_BATCH:
        problem = "an image that it decodes depends on the others in the batch"
        raise CannotAdopt(f"{problem}: call eval() before it is exported")
    if log_var.min() >= 0:
        say("  warning: the second output of encode was nowhere negative; is it log_var?")


def _name(source: Path) -> str:
    """The file's name, as far as it can be a model's."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", source.stem).strip("-._")[:MAX_NAME_CHARACTERS]
    if not name:
        raise CannotAdopt(f"a model cannot be named as {source.name} is: give it a name with --name")
    return name


def _command(source: Path, told: Told) -> str:
    """What does the same again, less the folders of this machine."""
    words = ["python", "-m", "service", "adopt", source.name]
    for field in dataclasses.fields(told):
        value = getattr(told, field.name)
        if value != field.default:
            values = value if isinstance(value, tuple) else (value,)
            words += [f"--{field.name.replace('_', '-')}", *map(str, values)]
    return shlex.join(words)


def _metadata(form: Form, told: Told, provenance: Provenance, *, name: str, architecture: str) -> Metadata:
    """All that is known, and no more."""
    try:
        return Metadata(
            name=name,
            created_at=datetime.now(UTC).replace(microsecond=0),
            architecture=architecture,
            image_shape=form.image_shape,
            latent_dim=form.latent_dim,
            preprocessing=Preprocessing(crop=told.crop),
            likelihood=told.likelihood,
            likelihood_scale=told.likelihood_scale,
            provenance=provenance,
            quality={},
            export_difference={},
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        flag = str(first["loc"][0]).replace("_", "-")
        raise CannotAdopt(f"--{flag}: {first['msg']}, got {first['input']!r}") from None


def _write(
    target: Path,
    module: torch.jit.ScriptModule,
    metadata: Metadata,
    allowed_operators: Collection[str],
) -> None:
    """Write the checkpoint where it is meant to be once it has been read as the service reads it."""
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        written = Path(folder) / target.name
        checkpoint.save(written, module, metadata)
        checkpoint.load(written, allowed_operators=allowed_operators)
        written.replace(target)
