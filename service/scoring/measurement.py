"""What of a score a network is needed for; runs on whatever device the network is on.

Shapes: B batch, C channels, H height, W width, D latent size.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from service.scoring.likelihood import LEVELS, Likelihood
from service.scripted import VAEModule

SIGNS_SEED = 0
# A quarter of a level: how far from 0 or 1 a mean may have been that was rounded to it.
ROUNDED_AWAY = 1 / 4 / LEVELS

Encode = Callable[[Tensor], tuple[Tensor, Tensor]]
DecodeLogits = Callable[[Tensor], Tensor]


class LogitsModule(Protocol):
    """What a scripted module may do besides; see service.checkpoint."""

    def decode_logits(self, z: Tensor) -> Tensor:
        """Logits of the pixels' means, float32 (B, C, H, W), of latents (B, D)."""


def measure(
    images: Tensor, *, encode: Encode, decode_logits: DecodeLogits, likelihood: Likelihood, signs: Tensor
) -> tuple[Tensor, ...]:
    """Encode images, and decode for each its mu and two latents of its posterior.

    The distortion, -log p(x|z), is the mean of the latents mu + std * signs and mu - std * signs. These have
    the posterior's mean and variances, and no chance in them: the same image has the same score. Signs
    estimate such a mean with less error than as many normal draws (Hutchinson 1990).

    Args:
        images: uint8 (B, C, H, W), as shown_images gives them.
        encode: See VAEModule.
        decode_logits: See LogitsModule.
        likelihood: Of the checkpoint.
        signs: Those of fixed_signs, where the network is.

    Returns:
        Distortion (B,) in nats; mse (B,) of pixels in [0, 1] decoded from mu; mu and log_var (B, D).
    """
    mu, log_var = encode(images)
    offset = (0.5 * log_var).exp() * signs
    middle, above, below = decode_logits(torch.cat([mu, mu + offset, mu - offset])).chunk(3)
    pixels = images.to(torch.float32) / LEVELS
    distortion = 0.5 * (likelihood.nll(pixels, above) + likelihood.nll(pixels, below))
    mse = (pixels - torch.sigmoid(middle)).square().flatten(1).mean(dim=1)
    return distortion, mse, mu, log_var


def fixed_signs(latent_dim: int) -> Tensor:
    """Signs, float32 (D,), the same everywhere and for ever."""
    bits = np.random.Philox(key=SIGNS_SEED).random_raw(latent_dim) >> np.uint64(63)
    return torch.from_numpy(1.0 - 2.0 * bits).to(torch.float32)


def logits_of(module: VAEModule) -> DecodeLogits:
    """A module's own decode_logits, or what comes nearest."""
    own: DecodeLogits | None = getattr(module, "decode_logits", None)
    return own or logits_of_pixels(module.decode)


def logits_of_pixels(decode: Callable[[Tensor], Tensor]) -> DecodeLogits:
    """Logits whose sigmoid are the pixels that are decoded, but for what rounding may have hidden."""

    def decode_logits(z: Tensor) -> Tensor:
        return torch.logit(decode(z).to(torch.float32) / LEVELS, eps=ROUNDED_AWAY)

    return decode_logits
