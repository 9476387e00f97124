"""Likelihoods and the KL divergence, all in nats an image: summed over dimensions, one value for each image.

Pixels are in [0, 1]; densities are with respect to that unit. Shapes: B batch, C, H, W of an image, D latent.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


def gaussian_kl(mu: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(mu, exp(log_var)) || N(0, I)) = 1/2 sum(mu^2 + exp(log_var) - log_var - 1), (B, D) -> (B,).

    Source: Kingma & Welling 2014 (arXiv 1312.6114), appendix B.
    """
    return 0.5 * (mu.square() + log_var.exp() - log_var - 1).sum(dim=1)


def gaussian_nll(images: Tensor, means: Tensor, variance: Tensor) -> Tensor:
    """-log N(x; mean, variance I) = 1/2 sum((x - mean)^2 / variance + log(2 pi variance)).

    Args:
        images: (B, C, H, W) in [0, 1].
        means: The same shape.
        variance: One positive number, in squared units of the pixel range.

    Returns:
        (B,). It is a density, so it can be negative.
    """
    num_dimensions = images[0].numel()
    squared_error = (images - means).square().flatten(1).sum(dim=1)
    return 0.5 * (squared_error / variance + num_dimensions * torch.log(2 * math.pi * variance))


def bernoulli_nll(images: Tensor, logits: Tensor) -> Tensor:
    """-sum(x log p + (1 - x) log(1 - p)) with p = sigmoid(logits), (B, C, H, W) -> (B,).

    Raises:
        ValueError: The pixels are not all 0 or 1. On grey pixels this is no log-likelihood of anything.
    """
    if not bool(((images == 0) | (images == 1)).all()):
        raise ValueError(
            "a Bernoulli likelihood is of binary pixels; these are grey: binarize or use a Gaussian"
        )
    return functional.binary_cross_entropy_with_logits(logits, images, reduction="none").flatten(1).sum(dim=1)


class GaussianLikelihood(nn.Module):
    """Independent Gaussian pixels around sigmoid(logits), with one fixed sigma for all of them.

    Args:
        sigma: Standard deviation in units of the pixel range.
    """

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.variance: Tensor
        self.register_buffer("variance", torch.tensor(sigma**2))

    def forward(self, images: Tensor, logits: Tensor) -> Tensor:
        """Negative log-likelihood in nats, (B,), of images (B, C, H, W) in [0, 1]."""
        return gaussian_nll(images, torch.sigmoid(logits), self.variance)


class OptimalGaussianLikelihood(nn.Module):
    """Independent Gaussian pixels with the one sigma that fits best: sigma^2 = MSE (sigma-VAE).

    In training it is the MSE of the batch, with its gradient, so that the loss is D/2 log(MSE) up to a
    constant; in evaluation a running mean of it, so that an image's value does not depend on its batch.
    Source: Rybkin, Daniilidis & Levine 2021 (arXiv 2006.13202), section 3.2.
    """

    MOMENTUM = 0.02
    SMALLEST_VARIANCE = (1 / 255 / 4) ** 2  # a quarter of a level: below it the pixels' own rounding rules

    def __init__(self) -> None:
        super().__init__()
        self.variance: Tensor
        self.register_buffer("variance", torch.tensor(0.0))

    def forward(self, images: Tensor, logits: Tensor) -> Tensor:
        """Negative log-likelihood in nats, (B,), of images (B, C, H, W) in [0, 1]."""
        means = torch.sigmoid(logits)
        if not self.training:
            return gaussian_nll(images, means, self.variance.clamp_min(self.SMALLEST_VARIANCE))
        variance = (images - means).square().mean().clamp_min(self.SMALLEST_VARIANCE)
        with torch.no_grad():
            first = self.variance == 0
            self.variance.copy_(torch.where(first, variance, self.variance.lerp(variance, self.MOMENTUM)))
        return gaussian_nll(images, means, variance)


class BernoulliLikelihood(nn.Module):
    """Independent binary pixels with probability sigmoid(logits)."""

    def forward(self, images: Tensor, logits: Tensor) -> Tensor:
        """Negative log-likelihood in nats, (B,), of binary images (B, C, H, W)."""
        return bernoulli_nll(images, logits)
