"""What a scripted VAE is to those who call it: its methods, its arrays and the errors it may raise.

Shapes: B batch, C channels, H height, W width, D latent size.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

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


def as_vae(module: torch.jit.ScriptModule) -> VAEModule:
    """The one place where the untyped scripted module gets its type."""
    return cast(VAEModule, module)


def last_line(error: Exception) -> str:
    """What an error of TorchScript says, without the code that it stands in."""
    lines = str(error).strip().splitlines()
    return lines[-1][:200] if lines else type(error).__name__


@contextmanager
def without_deprecation_warning() -> Iterator[None]:
    """Silence TorchScript's one deprecation warning; the README says what comes after it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated", FutureWarning)
        yield
