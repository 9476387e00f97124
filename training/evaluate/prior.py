"""What latents are drawn from: the standard normal, or the mixture that was fitted to the training images.

Shapes: N latents, D latent size.
"""

import dataclasses

import torch
from torch import Tensor

from service.prior import Mixture, log_density


@dataclasses.dataclass(frozen=True)
class Prior:
    """A density of latents that can be drawn from.

    Attributes:
        latent_dim: D.
        mixture: The fitted one; None for the standard normal.
    """

    latent_dim: int
    mixture: Mixture | None = None

    def draw(self, num_latents: int, *, seed: int, device: torch.device) -> Tensor:
        """Latents, float32 (N, D), by the seed: the same noise under every prior."""
        generator = torch.Generator().manual_seed(seed)
        z = torch.randn(num_latents, self.latent_dim, generator=generator)
        if self.mixture is not None:
            uniform = torch.rand(num_latents, generator=generator, dtype=torch.float64)
            z = torch.from_numpy(self.mixture.place(z.numpy(), uniform.numpy()))
        return z.to(device)

    def log_density(self, z: Tensor) -> Tensor:
        """float64 (N,) in nats, of latents (N, D)."""
        return torch.from_numpy(log_density(z.double().cpu().numpy(), self.mixture)).to(z.device)
