"""The objectives: bounds on -log p(x) in nats an image, from likelihoods, posteriors and the noise.

Shapes: S samples of z an image, B batch, D latent size.
"""

import math

import torch
from torch import Tensor

ACTIVE_VARIANCE = 0.01  # of a unit's posterior mean over the images; see active_units


def gaussian_kl(mu: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(mu, exp(log_var)) || N(0, I)) = 1/2 sum(mu^2 + exp(log_var) - log_var - 1), (B, D) -> (B,).

    Source: Kingma & Welling 2014 (arXiv 1312.6114), appendix B.
    """
    return unit_kl(mu, log_var).sum(dim=1)


def unit_kl(mu: Tensor, log_var: Tensor) -> Tensor:
    """The share of each latent unit in `gaussian_kl`, (B, D)."""
    return 0.5 * (mu.square() + log_var.exp() - log_var - 1)


def active_units(mu: Tensor) -> Tensor:
    """Whether each latent unit is active, bool (D,): its posterior mean, (N, D), varies over the images.

    Source: Burda, Grosse & Salakhutdinov 2016 (arXiv 1509.00519), section 4.2.
    """
    return mu.double().var(dim=0, correction=0) > ACTIVE_VARIANCE


def log_weights(distortion: Tensor, log_var: Tensor, *, z: Tensor, noise: Tensor) -> Tensor:
    """log p(x|z) + log p(z) - log q(z|x), (S, B), of z = mu + exp(log_var / 2) * noise.

    The normalizing constants of the two Gaussians cancel.

    Args:
        distortion: -log p(x|z), (S, B).
        log_var: (B, D).
        z: (S, B, D).
        noise: (S, B, D).
    """
    log_prior = -0.5 * z.square().sum(dim=2)
    log_posterior = -0.5 * (noise.square().sum(dim=2) + log_var.sum(dim=1))
    return log_prior - log_posterior - distortion


def importance_weighted_nll(log_weights: Tensor) -> Tensor:
    """-log of the mean importance weight, (S, B) -> (B,): a bound of -log p(x), tighter with each sample.

    Source: Burda, Grosse & Salakhutdinov 2016 (arXiv 1509.00519), equation 8.
    """
    return math.log(len(log_weights)) - torch.logsumexp(log_weights, dim=0)


def with_free_bits(unit_kl: Tensor, free_bits: float) -> Tensor:
    """The KL term, a scalar: each unit's mean over the batch, at least `free_bits` nats of it, summed.

    Source: Kingma et al. 2016 (arXiv 1606.04934), appendix C.8.

    Args:
        unit_kl: (B, D), in nats.
        free_bits: Nats that a unit may spend for nothing; 0 for the plain KL divergence.
    """
    return unit_kl.mean(dim=0).clamp_min(free_bits).sum()
