"""The checkpoint format: the contract between training, which writes it, and the service, which reads it.

One file is the whole artefact: a TorchScript archive with two files beside its code and weights,
`metadata.json` (service.metadata) and `golden.npz` (class Golden). The scripted module has two methods:

    encode(images: uint8 (B, C, H, W)) -> (mu: float32 (B, D), log_var: float32 (B, D))
    decode(z: float32 (B, D)) -> images: uint8 (B, C, H, W)

It may have more, for likelihoods, and for the mixture of metadata.prior "fitted" (see service.prior):

    decode_logits(z: float32 (B, D)) -> float32 (B, C, H, W), sigmoid of which are the pixels' means in [0, 1]
    prior_weights float32 (K,), prior_means float32 (K, D), prior_factors float32 (K, D, D), lower triangular

Pixels are uint8 on both sides; the module scales them itself, in whatever dtype its weights have.
A checkpoint is code: service.trust says what is checked before any of it runs, and what that is worth.

Shapes: B batch, C channels, H height, W width, D latent size, K golden values.
"""

import dataclasses
import hashlib
import io
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from service.archive_file import with_extra, without_source_paths, write_whole
from service.errors import InvalidCheckpoint
from service.metadata import Metadata, parse_metadata
from service.prior import Mixture, read_prior
from service.trust.archive import Archive
from service.trust.arrays import read_arrays
from service.trust.program import Program

METADATA_FILE = "metadata.json"
GOLDEN_FILE = "golden.npz"
MAX_METADATA_BYTES = 1024**2
NOT_THERE = (
    "is not there; `python -m training export` writes it, and `python -m service adopt` makes a checkpoint"
    " of a TorchScript VAE from elsewhere"
)

# What another kind of machine, or a lower precision, may change: levels of 255, and units of mu and log_var.
MAX_PIXEL_DIFFERENCE = 2
MAX_MEAN_PIXEL_DIFFERENCE = 0.5
MAX_LATENT_DIFFERENCE = 1e-2

# What a scripted module that is run may raise, beside running out of memory: also what it says itself.
RUN_ERRORS = (RuntimeError, torch.jit.Error, AttributeError, TypeError, ValueError)

UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]


class VAEModule(Protocol):
    """What the scripted module in a checkpoint can do."""

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior mu and log_var, float32 (B, D), of uint8 images (B, C, H, W)."""

    def decode(self, z: Tensor) -> Tensor:
        """Images, uint8 (B, C, H, W), of latents (B, D)."""


@dataclasses.dataclass(frozen=True)
class Golden:
    """Latents with the images that they must decode to, and these images with what they must encode to.

    The images are decoded ones, so that no picture of the training data travels in a checkpoint.

    Attributes:
        z: float32 (K, D).
        images: uint8 (K, C, H, W), the decoded z.
        mu: float32 (K, D), of the images.
        log_var: float32 (K, D), of the images.
    """

    z: Float32Array
    images: UInt8Array
    mu: Float32Array
    log_var: Float32Array

    @classmethod
    def measured(cls, module: VAEModule, z: Tensor) -> "Golden":
        """The golden values of a module at latents z, float32 (K, D)."""
        with torch.inference_mode():
            images = module.decode(z)
            mu, log_var = module.encode(images)
        return cls(z.numpy(), images.contiguous().cpu().numpy(), mu.cpu().numpy(), log_var.cpu().numpy())

    def pixel_difference(self, images: UInt8Array) -> str | None:
        """Say how far decoded images, uint8 (K, C, H, W), are out of tolerance; None where they agree."""
        levels = np.abs(self.images.astype(np.int16) - images)
        if levels.max() > MAX_PIXEL_DIFFERENCE or levels.mean() > MAX_MEAN_PIXEL_DIFFERENCE:
            return f"decoded pixels differ by up to {levels.max()} levels, {levels.mean():.3f} on average"
        return None

    def latent_difference(self, mu: Float32Array, log_var: Float32Array) -> str | None:
        """Say how far encoded images, float32 (K, D) each, are out of tolerance; None where they agree."""
        for name, values in {"mu": mu, "log_var": log_var}.items():
            largest = float(np.abs(getattr(self, name) - values).max())
            if not largest <= MAX_LATENT_DIFFERENCE:
                return f"{name} differs by up to {largest:.4f}"
        return None


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A loaded and verified checkpoint; `prior` is None for the standard normal, `sha256` of the file."""

    module: torch.jit.ScriptModule
    metadata: Metadata
    prior: Mixture | None
    golden: Golden
    sha256: str
    num_bytes: int


@contextmanager
def without_deprecation_warning() -> Iterator[None]:
    """Silence TorchScript's one deprecation warning; the README says what comes after it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated", FutureWarning)
        yield


def as_vae(module: torch.jit.ScriptModule) -> VAEModule:
    """The one place where the untyped scripted module gets its type."""
    return cast(VAEModule, module)


def save(path: Path, module: torch.jit.ScriptModule, metadata: Metadata) -> None:
    """Write a checkpoint, whole or not at all, with golden values measured from the module."""
    noise = torch.randn(16, metadata.latent_dim, generator=torch.Generator().manual_seed(0))
    golden = io.BytesIO()
    np.savez(golden, **dataclasses.asdict(Golden.measured(as_vae(module), noise)))
    extra_files = {METADATA_FILE: metadata.model_dump_json(indent=2), GOLDEN_FILE: golden.getvalue()}
    archive = io.BytesIO()
    with without_deprecation_warning():
        torch.jit.save(module, archive, _extra_files=extra_files)
    write_whole(path, without_source_paths(archive.getvalue()))


def replace_metadata(path: Path, metadata: Metadata) -> None:
    """Write other metadata into a checkpoint, whole or not at all; all else in it stays byte for byte.

    Raises:
        InvalidCheckpoint: It is no checkpoint.
    """
    content = read_file(path)
    read_stored(Archive.read(content))
    text = metadata.model_dump_json(indent=2).encode()
    write_whole(path, with_extra(content, METADATA_FILE, text))


def load(
    path: Path, *, allowed_sha256: Collection[str] = (), allowed_operators: Collection[str] = ()
) -> Checkpoint:
    """Read a checkpoint onto the CPU and check that it is what is meant and does what it says.

    Args:
        path: The file.
        allowed_sha256: Digests in hexadecimal, of which it must have one; none for any file.
        allowed_operators: Operators that it may use beside those of service.trust.operators.

    Raises:
        InvalidCheckpoint: Naming the field that is wrong.
    """
    content = read_file(path)
    sha256 = hashlib.sha256(content).hexdigest()
    if allowed_sha256 and sha256 not in map(str.lower, allowed_sha256):
        expected = " or ".join(map(str.lower, allowed_sha256))
        raise InvalidCheckpoint("sha256", f"{path} has {sha256}, expected {expected}")
    archive = Archive.read(content)
    metadata, golden = read_stored(archive)
    program = Program(archive)
    program.check_operators(allowed_operators)
    module = program.module().eval()
    _check_module(module, metadata, golden)
    return Checkpoint(module, metadata, read_prior(module, metadata), golden, sha256, len(content))


def is_checkpoint(archive: Archive) -> bool:
    """Whether a TorchScript file has anything of what makes it a checkpoint."""
    return METADATA_FILE in archive.extra or GOLDEN_FILE in archive.extra


def read_file(path: Path) -> bytes:
    """The content of a checkpoint file.

    Raises:
        InvalidCheckpoint: It cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InvalidCheckpoint("file", f"{path} does not exist") from None
    except OSError as error:
        raise InvalidCheckpoint("file", f"{path} cannot be read: {error.strerror}") from None


def read_stored(archive: Archive) -> tuple[Metadata, Golden]:
    """Metadata and golden values, which are plain data, of shapes that fit together.

    Raises:
        InvalidCheckpoint: Naming the field that is wrong.
    """
    for name in (METADATA_FILE, GOLDEN_FILE):
        if name not in archive.extra:
            raise InvalidCheckpoint(name, NOT_THERE)
    if len(archive.extra[METADATA_FILE]) > MAX_METADATA_BYTES:
        raise InvalidCheckpoint(METADATA_FILE, f"is larger than {MAX_METADATA_BYTES} bytes")
    metadata = parse_metadata(archive.extra[METADATA_FILE])
    try:
        fields = [field.name for field in dataclasses.fields(Golden)]
        golden = Golden(**read_arrays(archive.extra[GOLDEN_FILE], fields))
    except ValueError as error:
        raise InvalidCheckpoint(GOLDEN_FILE, f"cannot be read: {error}") from None
    _check_golden_shapes(golden, metadata)
    return metadata, golden


def _check_golden_shapes(golden: Golden, metadata: Metadata) -> None:
    num = len(golden.z) if golden.z.ndim else 0
    latents = (np.float32, (num, metadata.latent_dim))
    images = (np.uint8, (num, *metadata.image_shape))
    for name, (dtype, shape) in {"z": latents, "images": images, "mu": latents, "log_var": latents}.items():
        array = getattr(golden, name)
        if array.dtype != dtype or array.shape != shape or num == 0:
            found = f"{array.dtype} {array.shape}, expected {np.dtype(dtype)} {shape}"
            raise InvalidCheckpoint(f"golden.{name}", f"{found} from metadata.image_shape and latent_dim")


def _check_module(module: torch.jit.ScriptModule, metadata: Metadata, golden: Golden) -> None:
    for method in ("encode", "decode"):
        if not hasattr(module, method):
            raise InvalidCheckpoint(f"module.{method}", "the scripted module has no such method")
    try:
        measured = Golden.measured(as_vae(module), torch.from_numpy(golden.z))
    except RUN_ERRORS as error:
        raise InvalidCheckpoint("module", f"fails on its own golden values: {last_line(error)}") from error
    _check_golden_shapes(measured, metadata)
    difference = golden.pixel_difference(measured.images)
    difference = difference or golden.latent_difference(measured.mu, measured.log_var)
    if difference is not None:
        raise InvalidCheckpoint("golden", f"{difference} from what was stored when it was exported")


def last_line(error: Exception) -> str:
    """What an error of TorchScript says, without the code that it stands in."""
    lines = str(error).strip().splitlines()
    return lines[-1][:200] if lines else type(error).__name__
