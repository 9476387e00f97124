"""What is measured: anything that encodes images and decodes latents; an exported or a trained network.

Shapes: B batch, C channels, H height, W width, D latent size.
"""

from typing import Protocol

import torch
from torch import Tensor

from service.scripted import as_vae
from training.lightning_module import VAETraining, as_unit_range


class Autoencoder(Protocol):
    """What every figure is computed from."""

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior mu and log_var, float32 (B, D), of uint8 images (B, C, H, W)."""

    def decode_logits(self, z: Tensor) -> Tensor:
        """Logits (B, C, H, W) of the pixels' means in [0, 1], of latents (B, D)."""


class ExportedAutoencoder:
    """The scripted module of an exported checkpoint.

    Where it has no `decode_logits`, the logits are those of its decoded pixels: means of 256 levels, of which
    0 and 255 have infinite logits.
    """

    def __init__(self, module: torch.jit.ScriptModule) -> None:
        self.module = module
        self.has_logits = hasattr(module, "decode_logits")

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """As the service encodes."""
        return as_vae(self.module).encode(images)

    def decode_logits(self, z: Tensor) -> Tensor:
        """As exported, else of the decoded pixels."""
        if self.has_logits:
            logits: Tensor = self.module.decode_logits(z)
            return logits
        return torch.logit(as_vae(self.module).decode(z).to(torch.float32) / 255)


class TrainedAutoencoder:
    """The network of a training run."""

    def __init__(self, training: VAETraining) -> None:
        self.model = training.model.eval()

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """As in validation."""
        return self.model.encode(as_unit_range(images))

    def decode_logits(self, z: Tensor) -> Tensor:
        """As in validation."""
        return self.model.decode_logits(z)


def decoded(autoencoder: Autoencoder, z: Tensor) -> Tensor:
    """The pixels' means as uint8 (B, C, H, W), as the service decodes latents (B, D)."""
    return torch.sigmoid(autoencoder.decode_logits(z)).mul(255).round().to(torch.uint8)
