"""Frechet distance between the Gaussians of two sets of features.

Shapes: N images, F features.
"""

import torch
from torch import Tensor


def frechet_distance(first: Tensor, second: Tensor) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) of features (N, F) and (M, F).

    m are their means, C their covariances; tr (C1 C2)^(1/2) is the sum of the square roots of the eigenvalues
    of the symmetric R C2 R, R being C1^(1/2).
    Source: Dowson & Landau 1982, "The Fréchet distance between multivariate normal distributions".
    """
    first, second = first.double(), second.double()
    shift = (first.mean(dim=0) - second.mean(dim=0)).square().sum()
    covariances = [torch.cov(features.T) for features in (first, second)]
    root = _square_root(covariances[0])
    crossed = torch.linalg.eigvalsh(root @ covariances[1] @ root).clamp_min(0).sqrt().sum()
    return float(shift + covariances[0].trace() + covariances[1].trace() - 2 * crossed)


def _square_root(covariance: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    root: Tensor = vectors * values.clamp_min(0).sqrt() @ vectors.T
    return root
