"""Latents worth decoding: samples of a prior, rows that change one thing, the plane of a latent of two.

Shapes: N images or samples, S steps, D latent size.
"""

import torch
from torch import Tensor

from training.export.prior import Mixture


def mixture_latents(mixture: Mixture, noise: Tensor, *, seed: int) -> Tensor:
    """z = means[k] + factors[k] @ noise, k drawn by its weight: (N, D) from standard normal noise (N, D)."""
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.multinomial(mixture.weights, len(noise), replacement=True, generator=generator)
    return mixture.means[chosen] + torch.einsum("nij,nj->ni", mixture.factors[chosen], noise)


def traversal(z: Tensor, *, unit: int, values: Tensor) -> Tensor:
    """One latent (D,) with one unit set to each of the values (S,): (S, D)."""
    row = z.repeat(len(values), 1)
    row[:, unit] = values
    return row


def linear_path(start: Tensor, end: Tensor, *, num_steps: int) -> Tensor:
    """(1 - t) start + t end for t from 0 to 1: (S, D)."""
    t = torch.linspace(0, 1, num_steps)[:, None]
    return (1 - t) * start + t * end


def spherical_path(start: Tensor, end: Tensor, *, num_steps: int) -> Tensor:
    """sin((1 - t) w) / sin(w) start + sin(t w) / sin(w) end, w the angle between them: (S, D).

    It keeps to the distances from the origin that samples of the prior have, where a straight line comes
    nearer to it. Where the two point the same way, or opposite ways, it is the straight line.
    Source: Shoemake 1985; White 2016 (arXiv 1609.04468), section 2.1.
    """
    cosine = torch.dot(start, end) / (start.norm() * end.norm())
    angle = torch.acos(cosine.clamp(-1, 1))
    if not torch.sin(angle) > 1e-4:  # nor is there an angle, but nan, where one of them is the origin
        return linear_path(start, end, num_steps=num_steps)
    t = torch.linspace(0, 1, num_steps)[:, None]
    return (torch.sin((1 - t) * angle) * start + torch.sin(t * angle) * end) / torch.sin(angle)


def manifold(side: int) -> Tensor:
    """A square of latents of two units that are equally likely under the standard normal prior.

    Row by row from the top left: z1 grows to the right, z2 upwards, each through the inverse normal CDF of
    (i + 1/2) / side, i from 0. Source: Kingma & Welling 2014 (arXiv 1312.6114), appendix A and figure 4.

    Returns:
        (side^2, 2).
    """
    z = torch.special.ndtri((torch.arange(side, dtype=torch.float64) + 0.5) / side).float()
    return torch.stack([z.repeat(side), z.flip(0).repeat_interleave(side)], dim=1)


def principal_plane(mu: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates (N, 2) in the plane of the largest variance, and that plane's two shares of it (PCA).

    Args:
        mu: (N, D) with N and D of two or more.
    """
    centred = mu - mu.mean(dim=0)
    left, singular, _ = torch.linalg.svd(centred, full_matrices=False)
    shares = singular.square() / singular.square().sum().clamp_min(1e-12)
    return left[:, :2] * singular[:2], shares[:2]
