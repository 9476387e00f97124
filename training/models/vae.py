"""What every network here is: an encoder with two heads, and a decoder that makes logits of a latent.

Shapes: B batch, C channels, H height, W width, D latent size, F features.
"""

import torch
from torch import Tensor, nn


class VAE(nn.Module):
    """A variational autoencoder put together of its layers; any of them may be scripted.

    Source: Kingma & Welling 2014 (arXiv 1312.6114).

    Args:
        image_shape: C, H, W.
        encoder: Images (B, C, H, W) -> features (B, F).
        mu: Features -> (B, D).
        log_var: Features -> (B, D).
        bound: What keeps log_var within limits, if anything.
        decoder_input: Latents (B, D) -> what the decoder takes.
        decoder: -> logits (B, C, H, W).
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        *,
        encoder: nn.Sequential,
        mu: nn.Linear,
        log_var: nn.Linear,
        decoder_input: nn.Linear,
        decoder: nn.Sequential,
        bound: nn.Hardtanh | None = None,
    ) -> None:
        super().__init__()
        self.image_shape = image_shape
        self.encoder = encoder
        self.mu = mu
        self.log_var = log_var
        self.bound = bound or nn.Identity()
        self.decoder_input = decoder_input
        self.decoder = decoder

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior mu and log_var, each (B, D), of images (B, C, H, W) in [0, 1]."""
        features = self.encoder(images)
        return self.mu(features), self.bound(self.log_var(features))

    def decode_logits(self, z: Tensor) -> Tensor:
        """Logits (B, C, H, W) of the pixels' means, from latents (B, D)."""
        logits: Tensor = self.decoder(self.decoder_input(z))
        return logits

    def forward(self, images: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (B, C, H, W) at z = mu + sigma * noise, with mu and log_var (B, D).

        Args:
            images: (B, C, H, W) in [0, 1].
            noise: Standard normal, (B, D).
        """
        mu, log_var = self.encode(images)
        return self.decode_logits(reparametrize(mu, log_var, noise)), mu, log_var


def reparametrize(mu: Tensor, log_var: Tensor, noise: Tensor) -> Tensor:
    """z = mu + exp(log_var / 2) * noise, all (B, D): Kingma & Welling 2014, section 2.4."""
    return mu + torch.exp(0.5 * log_var) * noise
