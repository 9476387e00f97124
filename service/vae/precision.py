"""The arithmetic of the network: which precision is fastest here and still true to the checkpoint.

A lower precision is taken only after the golden values of the checkpoint came out of it within the
tolerances of service.checkpoint; otherwise the next one is tried and the reason is kept.
"""

import copy
import logging
from collections.abc import Callable
from enum import StrEnum

import torch
from torch import Tensor

from service.checkpoint import Checkpoint, VAEModule, as_vae, without_deprecation_warning
from service.errors import InvalidCheckpoint
from service.vae.packing import pack


class Precision(StrEnum):
    """AUTO takes the fastest that stays within tolerance; TF32 is for CUDA only."""

    AUTO = "auto"
    FLOAT32 = "float32"
    TF32 = "tf32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


DTYPES = {
    Precision.FLOAT32: torch.float32,
    Precision.TF32: torch.float32,
    Precision.BFLOAT16: torch.bfloat16,
    Precision.FLOAT16: torch.float16,
}
METHODS = ("encode", "decode")

log = logging.getLogger(__name__)


class Placed:
    """A checkpoint's module on a device in one precision, frozen.

    Args:
        checkpoint: As loaded.
        device: Where its weights go.
        precision: Not AUTO.
    """

    def __init__(self, checkpoint: Checkpoint, device: torch.device, precision: Precision) -> None:
        self.precision = precision
        frozen = _frozen(checkpoint, device, precision)
        if device.type == "cpu":
            try:
                pack(frozen, METHODS)
            except (RuntimeError, AttributeError, TypeError) as error:
                log.warning("weights are not packed, which costs speed only: %s", error)
                frozen = _frozen(checkpoint, device, precision)
        self._module: VAEModule = as_vae(frozen)

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """See VAEModule.encode."""
        self._allow_tf32()
        return self._module.encode(images)

    def decode(self, z: Tensor) -> Tensor:
        """See VAEModule.decode."""
        self._allow_tf32()
        return self._module.decode(z)

    def _allow_tf32(self) -> None:
        # Read when a kernel is launched, so also when a CUDA graph is captured.
        allowed = "tf32" if self.precision is Precision.TF32 else "ieee"
        torch.backends.cuda.matmul.fp32_precision = allowed
        torch.backends.cudnn.conv.fp32_precision = allowed  # type: ignore[attr-defined]


def _frozen(checkpoint: Checkpoint, device: torch.device, precision: Precision) -> torch.jit.ScriptModule:
    module = copy.deepcopy(checkpoint.module).to(device=device, dtype=DTYPES[precision])
    with without_deprecation_warning():
        frozen: torch.jit.ScriptModule = torch.jit.freeze(module, preserved_attrs=list(METHODS))
    return frozen


def place_decoder(
    checkpoint: Checkpoint, device: torch.device, precision: Precision
) -> tuple[Placed, list[str]]:
    """Place the module for decoding in the precision asked for.

    Returns:
        The placed module, and one sentence for each precision that was out of tolerance.

    Raises:
        InvalidCheckpoint: Even float32 is out of tolerance on this device.
    """
    z = torch.from_numpy(checkpoint.golden.z).to(device)

    def problem(placed: Placed) -> str | None:
        return checkpoint.golden.pixel_difference(placed.decode(z).cpu().numpy())

    return _place(checkpoint, device, precision, problem)


def place_encoder(
    checkpoint: Checkpoint, device: torch.device, precision: Precision
) -> tuple[Placed, list[str]]:
    """Place the module for encoding in the precision asked for; see place_decoder."""
    images = torch.from_numpy(checkpoint.golden.images).to(device)

    def problem(placed: Placed) -> str | None:
        mu, log_var = placed.encode(images)
        return checkpoint.golden.latent_difference(mu.cpu().numpy(), log_var.cpu().numpy())

    return _place(checkpoint, device, precision, problem)


def _place(
    checkpoint: Checkpoint,
    device: torch.device,
    precision: Precision,
    problem: Callable[[Placed], str | None],
) -> tuple[Placed, list[str]]:
    refusals: list[str] = []
    candidates = _fastest_first(device) if precision is Precision.AUTO else (precision, Precision.FLOAT32)
    with torch.inference_mode():
        for candidate in dict.fromkeys(candidates):
            if candidate is Precision.TF32 and device.type != "cuda":
                refusals.append("tf32 is not used: only CUDA devices have it")
                continue
            placed = Placed(checkpoint, device, candidate)
            difference = problem(placed)
            if difference is None:
                return placed, refusals
            refusals.append(f"{candidate} is not used: {difference}")
    raise InvalidCheckpoint("golden", f"out of tolerance on {device}: {'; '.join(refusals)}")


def _fastest_first(device: torch.device) -> tuple[Precision, ...]:
    """The precisions that a device has instructions for.

    Told by the hardware and not by a clock: replicas on one kind of machine must agree, since the bytes
    of a seed depend on it.
    """
    if device.type == "cuda":
        return (Precision.FLOAT16, Precision.BFLOAT16, Precision.TF32, Precision.FLOAT32)
    has_bfloat16 = any(torch.cpu.get_capabilities().get(name) for name in ("avx512_bf16", "amx_bf16"))
    return (Precision.BFLOAT16, Precision.FLOAT32) if has_bfloat16 else (Precision.FLOAT32,)
