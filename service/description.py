"""What is in a checkpoint, or in another TorchScript file, told without running any of it."""

import dataclasses
import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path

from service.checkpoint import METADATA_FILE, NOT_THERE, is_checkpoint, read_file, read_stored
from service.errors import InvalidCheckpoint
from service.metadata import Metadata
from service.prior import read_prior
from service.trust.archive import Archive
from service.trust.operators import is_allowed
from service.trust.program import Method, Program


@dataclasses.dataclass(frozen=True)
class Description:
    """What is in a TorchScript file, told without running it.

    Attributes:
        metadata: Of a checkpoint; None where the file is of TorchScript alone.
        sha256: Of the file.
        num_bytes: Of the file.
        num_parameters: Numbers in its parameters.
        num_weight_bytes: Bytes of its parameters, buffers and constants.
        methods: Of the module, by name.
        operators: Every operator in its code, and whether a service may run it.
        refusal: Why a service would not run it, None where it would.
    """

    metadata: Metadata | None
    sha256: str
    num_bytes: int
    num_parameters: int
    num_weight_bytes: int
    methods: Mapping[str, Method]
    operators: Mapping[str, bool]
    refusal: InvalidCheckpoint | None


def describe(path: Path, *, allowed_operators: Collection[str] = ()) -> Description:
    """Say what is in a checkpoint, or in a TorchScript file without metadata; none of its code is run.

    Args:
        path: The file.
        allowed_operators: Operators that a service would run beside those of service.trust.operators.

    Raises:
        InvalidCheckpoint: Naming the field that is wrong.
    """
    content = read_file(path)
    archive = Archive.read(content)
    metadata = None
    if is_checkpoint(archive):
        metadata, _ = read_stored(archive)
    program = Program(archive)
    refusal = None if metadata else InvalidCheckpoint(METADATA_FILE, NOT_THERE)
    try:
        program.check_operators(allowed_operators)
        if metadata is not None:
            read_prior(program.module(), metadata)
    except InvalidCheckpoint as error:
        refusal = error
    return Description(
        metadata=metadata,
        sha256=hashlib.sha256(content).hexdigest(),
        num_bytes=len(content),
        num_parameters=sum(parameter.numel() for parameter in program.module().parameters()),
        num_weight_bytes=sum(map(len, archive.tensors.values())),
        methods=program.methods,
        operators={name: is_allowed(name, allowed_operators) for name in sorted(program.operators)},
        refusal=refusal,
    )
