"""Probabilistic PCA as an autoencoder: everything about it is known in closed form.

z ~ N(0, I), x = W z + b + noise, noise ~ N(0, sigma^2 I), with orthogonal columns of W, so that the posterior
has a diagonal covariance: q(z|x) = N(m W^T (x - b), diag(sigma^2 m)), m = 1 / (sigma^2 + |w_d|^2).
Source: Tipping & Bishop 1999, "Probabilistic principal component analysis".

Shapes: B batch, D latent size, P pixels.
"""

import math

import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

IMAGE_SHAPE = (1, 4, 5)
NUM_PIXELS = 20
LATENT_DIM = 3
SIGMA = 0.1


class GaussianAroundLogits(nn.Module):
    """-log N(x; logits, sigma^2 I): the logits are the means themselves, not their sigmoid."""

    def forward(self, images: Tensor, logits: Tensor) -> Tensor:
        squared = (images - logits).square().sum(dim=(-3, -2, -1))
        return 0.5 * (squared / SIGMA**2 + NUM_PIXELS * math.log(2 * math.pi * SIGMA**2))

    def scale(self) -> float:
        return SIGMA


class LinearGaussian:
    """Encodes to the exact posterior, its variance times `inflation`."""

    def __init__(self, *, inflation: float = 1.0) -> None:
        generator = torch.Generator().manual_seed(0)
        basis = torch.linalg.qr(torch.randn(NUM_PIXELS, LATENT_DIM, generator=generator)).Q
        self.weight = basis * torch.tensor([0.6, 0.3, 0.02])
        self.bias = torch.linspace(0.2, 0.8, NUM_PIXELS)
        self.inflation = inflation

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        pixels = images.flatten(1).float() / 255
        precision = SIGMA**2 + self.weight.square().sum(dim=0)
        mu = (pixels - self.bias) @ self.weight / precision
        return mu, torch.log(self.inflation * SIGMA**2 / precision).expand_as(mu)

    def decode_logits(self, z: Tensor) -> Tensor:
        return (z @ self.weight.T + self.bias).unflatten(1, IMAGE_SHAPE)

    def log_likelihood(self, images: Tensor) -> Tensor:
        """log p(x), float64 (B,): x is Gaussian with covariance W W^T + sigma^2 I."""
        weight = self.weight.double()
        covariance = weight @ weight.T + SIGMA**2 * torch.eye(NUM_PIXELS, dtype=torch.float64)
        density = MultivariateNormal(self.bias.double(), covariance)
        return density.log_prob(images.flatten(1).double() / 255)


def drawn_images(num_images: int) -> Tensor:
    """uint8 (N, 1, 4, 5), near what the model draws."""
    generator = torch.Generator().manual_seed(1)
    model = LinearGaussian()
    z = torch.randn(num_images, LATENT_DIM, generator=generator)
    means = model.decode_logits(z)
    noise = SIGMA * torch.randn(means.shape, generator=generator)
    return ((means + noise) * 255).round().clamp(0, 255).to(torch.uint8)
