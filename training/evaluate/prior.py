"""What latents are drawn from: the standard normal, or the mixture that was fitted to the training images.

Shapes: N latents, K components, D latent size.
"""

import math
from typing import Protocol

import torch
from torch import Tensor


class Prior(Protocol):
    """A density of latents that can be drawn from."""

    def draw(self, num_latents: int, *, seed: int, device: torch.device) -> Tensor:
        """Latents, float32 (N, D), by the seed."""

    def log_density(self, z: Tensor) -> Tensor:
        """float64 (N,) in nats, of latents (N, D)."""


class StandardPrior:
    """N(0, I)."""

    def __init__(self, latent_dim: int) -> None:
        self.latent_dim = latent_dim

    def draw(self, num_latents: int, *, seed: int, device: torch.device) -> Tensor:
        """Standard normal noise."""
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(num_latents, self.latent_dim, generator=generator).to(device)

    def log_density(self, z: Tensor) -> Tensor:
        """-1/2 sum(z^2 + log 2 pi)."""
        return -0.5 * (z.double().square() + math.log(2 * math.pi)).sum(dim=1)


class FittedPrior:
    """K Gaussians: z = means[k] + factors[k] @ noise, k drawn by its weight.

    Args:
        weights: (K,), their sum is 1.
        means: (K, D).
        factors: (K, D, D), lower triangular.
    """

    def __init__(self, weights: Tensor, means: Tensor, factors: Tensor) -> None:
        self.weights, self.means, self.factors = weights.double(), means.double(), factors.double()

    @classmethod
    def of(cls, module: torch.jit.ScriptModule) -> "FittedPrior":
        """The mixture in the buffers of an exported module; see service.checkpoint."""
        return cls(module.prior_weights, module.prior_means, module.prior_factors)

    def draw(self, num_latents: int, *, seed: int, device: torch.device) -> Tensor:
        """Components by their weights, then noise through their factors."""
        generator = torch.Generator().manual_seed(seed)
        chosen = torch.multinomial(self.weights.cpu(), num_latents, replacement=True, generator=generator)
        z = torch.randn(num_latents, self.means.shape[1], generator=generator).double().to(device)
        chosen = chosen.to(device)
        for k, (mean, factor) in enumerate(zip(self.means, self.factors, strict=True)):
            z[chosen == k] = mean + z[chosen == k] @ factor.T
        return z.float()

    def log_density(self, z: Tensor) -> Tensor:
        """log sum_k weights[k] N(z; means[k], factors[k] factors[k]^T)."""
        terms = []
        for weight, mean, factor in zip(self.weights, self.means, self.factors, strict=True):
            noise = torch.linalg.solve_triangular(factor, (z.double() - mean).T, upper=False)
            log_volume = factor.diagonal().log().sum() + 0.5 * len(mean) * math.log(2 * math.pi)
            terms.append(weight.log() - 0.5 * noise.square().sum(dim=0) - log_volume)
        return torch.logsumexp(torch.stack(terms), dim=0)
