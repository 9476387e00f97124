"""The arithmetic of the network: which precision is fastest here and still true to the checkpoint.

A lower precision is taken only after the golden values of the checkpoint came out of it within the
tolerances of service.golden; otherwise the next one is tried and the reason is kept.
"""

import copy
from collections.abc import Callable
from enum import StrEnum
from typing import cast

import torch
from torch import Tensor

from service.checkpoint import Checkpoint
from service.errors import InvalidCheckpoint
from service.scoring.measurement import LogitsModule
from service.scripted import VAEModule, as_vae, without_deprecation_warning
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


class Placed:
    """One method of a checkpoint's module on a device in one precision, frozen.

    Args:
        checkpoint: As loaded.
        device: Where its weights go.
        precision: Not AUTO.
        method: "encode", "decode" or "decode_logits"; the weights of the others are left out.
        is_packed: Whether its weights are laid out for oneDNN; see service.vae.packing.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        device: torch.device,
        precision: Precision,
        *,
        method: str,
        is_packed: bool,
    ) -> None:
        self.precision = precision
        self._is_cuda = device.type == "cuda"
        module = copy.deepcopy(checkpoint.module).to(device=device, dtype=DTYPES[precision])
        with without_deprecation_warning():
            frozen: torch.jit.ScriptModule = torch.jit.freeze(module, preserved_attrs=[method])
        if is_packed:
            golden = checkpoint.golden.images if method == "encode" else checkpoint.golden.z
            pack(frozen, method, example=torch.from_numpy(golden))
        self._module: VAEModule = as_vae(frozen)
        self._logits_module = cast(LogitsModule, frozen)

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """See VAEModule.encode."""
        self._allow_tf32()
        return self._module.encode(images)

    def decode(self, z: Tensor) -> Tensor:
        """See VAEModule.decode."""
        self._allow_tf32()
        return self._module.decode(z)

    def decode_logits(self, z: Tensor) -> Tensor:
        """See LogitsModule."""
        self._allow_tf32()
        return self._logits_module.decode_logits(z)

    def _allow_tf32(self) -> None:
        # Read when a kernel is launched, so also when a CUDA graph is captured.
        if not self._is_cuda:
            return
        allowed = "tf32" if self.precision is Precision.TF32 else "ieee"
        torch.backends.cuda.matmul.fp32_precision = allowed
        torch.backends.cudnn.conv.fp32_precision = allowed  # type: ignore[attr-defined]


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

    return _place(checkpoint, device, precision, "decode", problem)


def place_encoder(
    checkpoint: Checkpoint, device: torch.device, precision: Precision
) -> tuple[Placed, list[str]]:
    """Place the module for encoding in the precision asked for; see place_decoder."""
    images = torch.from_numpy(checkpoint.golden.images).to(device)

    def problem(placed: Placed) -> str | None:
        mu, log_var = placed.encode(images)
        return checkpoint.golden.latent_difference(mu.cpu().numpy(), log_var.cpu().numpy())

    return _place(checkpoint, device, precision, "encode", problem)


def place_scorer(
    checkpoint: Checkpoint, device: torch.device, precision: Precision
) -> tuple[Placed | None, list[str]]:
    """Place the module for decode_logits in the precision asked for, None where it has no such method.

    The golden pixels must come out of it; see place_decoder.
    """
    if not hasattr(checkpoint.module, "decode_logits"):
        return None, []
    z = torch.from_numpy(checkpoint.golden.z).to(device)

    def problem(placed: Placed) -> str | None:
        pixels = torch.sigmoid(placed.decode_logits(z)).mul(255).round().to(torch.uint8)
        return checkpoint.golden.pixel_difference(pixels.cpu().numpy())

    return _place(checkpoint, device, precision, "decode_logits", problem)


def native_precisions(device: torch.device) -> tuple[Precision, ...]:
    """The precisions that a device has instructions for, fastest first.

    Told by the hardware and not by a clock: replicas on one kind of machine must agree, since the bytes
    of a seed depend on it.
    """
    if device.type == "cuda":
        is_ampere = torch.cuda.get_device_capability(device) >= (8, 0)
        since_ampere = (Precision.BFLOAT16, Precision.TF32) if is_ampere else ()
        return (Precision.FLOAT16, *since_ampere, Precision.FLOAT32)
    has_bfloat16 = any(torch.cpu.get_capabilities().get(name) for name in ("avx512_bf16", "amx_bf16"))
    return (Precision.BFLOAT16, Precision.FLOAT32) if has_bfloat16 else (Precision.FLOAT32,)


def _place(
    checkpoint: Checkpoint,
    device: torch.device,
    precision: Precision,
    method: str,
    problem: Callable[[Placed], str | None],
) -> tuple[Placed, list[str]]:
    refusals: list[str] = []
    candidates = native_precisions(device) if precision is Precision.AUTO else (precision, Precision.FLOAT32)
    for candidate in dict.fromkeys(candidates):
        if candidate is Precision.TF32 and device.type != "cuda":
            refusals.append("tf32 is not used: only CUDA devices have it")
            continue
        for is_packed in _packings(device, candidate):
            placed, difference = _tried(checkpoint, device, candidate, method, problem, is_packed=is_packed)
            if placed is not None:
                return placed, refusals
            is_slower_only = is_packed and candidate is Precision.FLOAT32
            refused = "packed weights in float32 are" if is_slower_only else f"{candidate} is"
            refusals.append(f"{refused} not used: {difference}")
    raise InvalidCheckpoint("golden", f"out of tolerance on {device}: {'; '.join(refusals)}")


def _packings(device: torch.device, precision: Precision) -> tuple[bool, ...]:
    """Whether to pack weights; in float32, which must work with any module, packing is not insisted on."""
    if device.type != "cpu":
        return (False,)
    return (True, False) if precision is Precision.FLOAT32 else (True,)


def _tried(
    checkpoint: Checkpoint,
    device: torch.device,
    precision: Precision,
    method: str,
    problem: Callable[[Placed], str | None],
    *,
    is_packed: bool,
) -> tuple[Placed, None] | tuple[None, str]:
    """A placed module that gives the golden values, or why there is none."""
    try:
        with torch.inference_mode():
            placed = Placed(checkpoint, device, precision, method=method, is_packed=is_packed)
            difference = problem(placed)
    except (RuntimeError, AttributeError, TypeError) as error:
        return None, str(error).strip().splitlines()[-1][:200]
    return (placed, None) if difference is None else (None, difference)
