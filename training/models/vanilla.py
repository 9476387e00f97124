"""The convolutional VAE of Burkov's article (PyTorch-VAE's VanillaVAE), for any image size and channel list.

Shapes: B batch, C channels, H height, W width, D latent size.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class VanillaVAE(nn.Module):
    """Strided convolutions down to mu and log_var; transposed convolutions back to the same sizes.

    Each stage halves the size (rounding up) with a 3x3 convolution, BatchNorm and LeakyReLU; the decoder
    mirrors the sizes exactly, whatever they are, and ends in a 3x3 convolution to one logit a pixel value.
    Source: Kingma & Welling 2014 (arXiv 1312.6114); layers after AntixK/PyTorch-VAE, `vanilla_vae.py`.

    Args:
        image_shape: C, H, W.
        latent_dim: D.
        hidden_channels: Channels after each stage of the encoder, finest first; the list is not changed.
    """

    def __init__(
        self, image_shape: tuple[int, int, int], *, latent_dim: int, hidden_channels: Sequence[int]
    ) -> None:
        super().__init__()
        self.image_shape = image_shape
        num_channels, height, width = image_shape
        sizes = [(height, width)]
        for _ in hidden_channels:
            sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
        self.coarse_shape = (hidden_channels[-1], *sizes[-1])
        num_features = hidden_channels[-1] * sizes[-1][0] * sizes[-1][1]

        down = zip([num_channels, *hidden_channels[:-1]], hidden_channels, strict=True)
        self.encoder = nn.Sequential(*(_down(inner, outer) for inner, outer in down), nn.Flatten())
        self.mu = nn.Linear(num_features, latent_dim)
        self.log_var = nn.Linear(num_features, latent_dim)

        coarse_to_fine = list(hidden_channels)[::-1]
        up = zip(
            coarse_to_fine,
            [*coarse_to_fine[1:], hidden_channels[0]],
            sizes[:0:-1],
            sizes[-2::-1],
            strict=True,
        )
        self.decoder_input = nn.Linear(latent_dim, num_features)
        self.decoder = nn.Sequential(
            nn.Unflatten(1, self.coarse_shape),
            *(_up(inner, outer, small=small, large=large) for inner, outer, small, large in up),
            nn.Conv2d(hidden_channels[0], num_channels, kernel_size=3, padding=1),
        )

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior mu and log_var, each (B, D), of images (B, C, H, W) in [0, 1]."""
        features = self.encoder(images)
        return self.mu(features), self.log_var(features)

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


def _down(inner: int, outer: int) -> nn.Sequential:
    convolution = nn.Conv2d(inner, outer, kernel_size=3, stride=2, padding=1)
    return nn.Sequential(convolution, nn.BatchNorm2d(outer), nn.LeakyReLU())


def _up(inner: int, outer: int, *, small: tuple[int, int], large: tuple[int, int]) -> nn.Sequential:
    # A 3x3 stride-2 transposed convolution makes 2 s - 1 of s; the missing row is what rounding up added.
    output_padding = (large[0] - 2 * small[0] + 1, large[1] - 2 * small[1] + 1)
    convolution = nn.ConvTranspose2d(inner, outer, 3, stride=2, padding=1, output_padding=output_padding)
    return nn.Sequential(convolution, nn.BatchNorm2d(outer), nn.LeakyReLU())
