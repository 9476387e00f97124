"""Latents worth decoding: rows that change one thing, the plane of a latent of two.

Shapes: N images, S steps, D latent size.
"""

import torch
from torch import Tensor


def traversal(z: Tensor, *, unit: int, values: Tensor) -> Tensor:
    """One latent (D,) with one unit set to each of the values (S,): (S, D)."""
    row = z.repeat(len(values), 1)
    row[:, unit] = values
    return row


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
