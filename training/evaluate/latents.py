"""What the latents hold: units that are used, information on the image, and how far the prior is off.

ELBO surgery takes the rate apart: mean KL(q(z|x) || p(z)) = I(x; z) + KL(q(z) || p(z)), q(z) being the mean
of all posteriors. Source: Hoffman & Johnson 2016, "ELBO surgery: yet another way to carve up the variational
evidence lower bound", section 2.

Shapes: N images, D latent size.
"""

import math

import torch
from torch import Tensor

from training.evaluate.posterior import Posterior
from training.evaluate.prior import Prior
from training.losses import gaussian_kl

ROWS_AT_A_TIME = 1024


def mutual_information(posterior: Posterior) -> float:
    """I(x; z) in nats between which of these N images it is and its latent: log N is the most there can be.

    Estimated with one latent an image: mean log q(z|x) - log q(z), q(z) being the mean of all N posteriors.
    """
    own = _log_gaussian(posterior.z.double(), posterior.mu.double(), posterior.log_var.double())
    return float((own - log_aggregate_posterior(posterior)).mean())


def prior_gap(posterior: Posterior, prior: Prior, *, information: float) -> float:
    """KL(q(z) || p(z)) in nats: the rate under the prior less the mutual information.

    The rate under the standard normal is exact; that under another prior differs by the mean log-ratio of the
    two densities, which varies far less from latent to latent than either of them. An upper bound where the
    information has come up to log N, which it cannot exceed.
    """
    standard = -0.5 * (posterior.z.double().square() + math.log(2 * math.pi)).sum(dim=1)
    rate = gaussian_kl(posterior.mu.double(), posterior.log_var.double()).mean()
    rate = rate + (standard - prior.log_density(posterior.z)).mean()
    return float(rate) - information


def log_aggregate_posterior(posterior: Posterior) -> Tensor:
    """log q(z) = log 1/N sum_n q(z|x_n), float64 (N,), of the latent of each image."""
    mu, precision = posterior.mu.double(), torch.exp(-posterior.log_var.double())
    # -2 log q(z|x_n) = sum precision (z - mu)^2 + log_var + log 2 pi, its square multiplied out.
    constant = (precision * mu.square() + posterior.log_var + math.log(2 * math.pi)).sum(dim=1)
    log_q = []
    for z in posterior.z.double().split(ROWS_AT_A_TIME):
        distance = z.square() @ precision.T - 2 * z @ (precision * mu).T + constant
        log_q.append(torch.logsumexp(-0.5 * distance, dim=1))
    return torch.cat(log_q) - math.log(len(mu))


def _log_gaussian(z: Tensor, mu: Tensor, log_var: Tensor) -> Tensor:
    distance = (z - mu).square() * torch.exp(-log_var)
    return -0.5 * (distance + log_var + math.log(2 * math.pi)).sum(dim=1)
