"""The checkpoint format: the contract between training, which writes it, and the service, which reads it.

One file is the whole artefact: a TorchScript archive with two files beside its code and weights,
`metadata.json` (service.metadata) and `golden.npz` (service.golden). The scripted module has two methods:

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
from collections.abc import Collection
from pathlib import Path

import torch

from service.archive_file import with_extra, without_source_paths
from service.errors import InvalidCheckpoint
from service.golden import Golden
from service.metadata import Metadata, parse_metadata
from service.prior import Mixture, read_prior
from service.scripted import as_vae, without_deprecation_warning
from service.trust.archive import Archive
from service.trust.program import Program
from service.whole_file import write_whole

METADATA_FILE = "metadata.json"
GOLDEN_FILE = "golden.npz"
MAX_METADATA_BYTES = 1024**2
NOT_THERE = (
    "is not there; `python -m training export` writes it, and `python -m service adopt` makes a checkpoint"
    " of a TorchScript VAE from elsewhere"
)


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A loaded and verified checkpoint; `prior` is None for the standard normal, `sha256` of the file."""

    module: torch.jit.ScriptModule
    metadata: Metadata
    prior: Mixture | None
    golden: Golden
    sha256: str
    num_bytes: int


def save(path: Path, module: torch.jit.ScriptModule, metadata: Metadata) -> None:
    """Write a checkpoint, whole or not at all, with golden values measured from the module."""
    noise = torch.randn(16, metadata.latent_dim, generator=torch.Generator().manual_seed(0))
    golden = Golden.measured(as_vae(module), noise)
    extra_files = {METADATA_FILE: metadata.model_dump_json(indent=2), GOLDEN_FILE: golden.write()}
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
        raise InvalidCheckpoint("sha256", f"it has {sha256}, expected {expected}")
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
        return metadata, Golden.read(archive.extra[GOLDEN_FILE], metadata)
    except ValueError as error:
        raise InvalidCheckpoint(GOLDEN_FILE, f"cannot be read: {error}") from None


def _check_module(module: torch.jit.ScriptModule, metadata: Metadata, golden: Golden) -> None:
    for method in ("encode", "decode"):
        if not hasattr(module, method):
            raise InvalidCheckpoint(f"module.{method}", "the scripted module has no such method")
    golden.check(as_vae(module), metadata)
