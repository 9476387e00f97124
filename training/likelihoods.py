"""Likelihoods p(x|z): what one image costs in nats under the decoder's logits.

Each is a module from images and logits to negative log-likelihoods. Pixels are in [0, 1]; densities are with
respect to that unit. Logits may have more dimensions in front, for several latents an image.

Shapes: S samples of z (there or not), B batch, C channels, H height, W width.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.config import LossConfig

LEVELS = 255
FIRST_SCALE = 0.1  # where a learned scale starts
IMAGE_DIMENSIONS = (-3, -2, -1)
SMALLEST_VARIANCE = (1 / LEVELS / 4) ** 2  # a quarter of a level: below it the pixels' own rounding rules


class GaussianLikelihood(nn.Module):
    """Independent Gaussian pixels around sigmoid(logits), with one sigma for all of them.

    Args:
        sigma: Standard deviation in units of the pixel range.
        is_learned: Make it a weight that is trained with the others, from this value on.
    """

    def __init__(self, sigma: float, *, is_learned: bool = False) -> None:
        super().__init__()
        log_sigma = torch.tensor(math.log(sigma))
        self.log_sigma: Tensor
        if is_learned:
            self.log_sigma = nn.Parameter(log_sigma)
        else:
            self.register_buffer("log_sigma", log_sigma)

    def forward(self, images: Tensor, logits: Tensor) -> Tensor:
        """Negative log-likelihood in nats, (S, B), of images (B, C, H, W) under logits (S, B, C, H, W)."""
        variance = (2 * self.log_sigma).exp().clamp_min(SMALLEST_VARIANCE)
        return gaussian_nll(images, torch.sigmoid(logits), variance)

    def scale(self) -> float:
        """Sigma in units of the pixel range."""
        return float(self.log_sigma.detach().exp())


class OptimalGaussianLikelihood(nn.Module):
    """Independent Gaussian pixels with the one sigma that fits best: sigma^2 = MSE (sigma-VAE).

    In training it is the MSE of the batch, with its gradient, so that the loss is D/2 log(MSE) up to a
    constant; in evaluation a running mean of it, so that an image's value does not depend on its batch.
    Source: Rybkin, Daniilidis & Levine 2021 (arXiv 2006.13202), section 3.2.
    """

    MOMENTUM = 0.02

    def __init__(self) -> None:
        super().__init__()
        self.variance: Tensor
        self.register_buffer("variance", torch.tensor(0.0))

    def forward(self, images: Tensor, logits: Tensor) -> Tensor:
        """Negative log-likelihood in nats, (S, B), of images (B, C, H, W) under logits (S, B, C, H, W)."""
        means = torch.sigmoid(logits)
        if not self.training:
            return gaussian_nll(images, means, self.variance.clamp_min(SMALLEST_VARIANCE))
        variance = (images - means).square().mean().clamp_min(SMALLEST_VARIANCE)
        with torch.no_grad():
            is_first = self.variance == 0
            self.variance.copy_(torch.where(is_first, variance, self.variance.lerp(variance, self.MOMENTUM)))
        return gaussian_nll(images, means, variance)

    def scale(self) -> float:
        """The running sigma in units of the pixel range."""
        return math.sqrt(max(float(self.variance), SMALLEST_VARIANCE))


class DiscretizedLogisticLikelihood(nn.Module):
    """Independent pixels of 256 levels, each with the logistic density's mass over its own level.

    P(x) = F((x + h - m) / s) - F((x - h - m) / s), h being half a level, F the logistic function and m the
    mean sigmoid(logits); the outermost levels take in what lies beyond them, so that all add up to one.
    Source: Kingma et al. 2016 (arXiv 1606.04934), equation 18.

    Args:
        scale: s, in units of the pixel range.
        is_learned: Make it a weight that is trained with the others, from this value on.
    """

    def __init__(self, scale: float, *, is_learned: bool = False) -> None:
        super().__init__()
        log_scale = torch.tensor(math.log(scale))
        self.log_scale: Tensor
        if is_learned:
            self.log_scale = nn.Parameter(log_scale)
        else:
            self.register_buffer("log_scale", log_scale)

    def forward(self, images: Tensor, logits: Tensor) -> Tensor:
        """Negative log-probability in nats, (S, B), of images (B, C, H, W) of whole levels."""
        # F(a) - F(b) = F(a) F(-b) (1 - exp(b - a)), which is exact however small the difference is.
        scale = self.log_scale.exp()
        centred = images - torch.sigmoid(logits)
        half = 0.5 / LEVELS
        below = functional.logsigmoid((centred + half) / scale)
        above = functional.logsigmoid((half - centred) / scale)
        width = torch.log(-torch.expm1(-2 * half / scale))
        lowest, highest = images < half, images > 1 - half
        log_probability = (
            torch.where(highest, 0.0, below)
            + torch.where(lowest, 0.0, above)
            + torch.where(lowest | highest, 0.0, width)
        )
        return -log_probability.sum(dim=IMAGE_DIMENSIONS)

    def scale(self) -> float:
        """S in units of the pixel range."""
        return float(self.log_scale.detach().exp())


class BernoulliLikelihood(nn.Module):
    """Independent binary pixels with probability sigmoid(logits)."""

    def forward(self, images: Tensor, logits: Tensor) -> Tensor:
        """Negative log-likelihood in nats, (S, B), of binary images (B, C, H, W).

        Raises:
            ValueError: In evaluation: the pixels are not binary. (In training the config vouches for them.)
        """
        if not self.training:
            check_binary(images)
        return bernoulli_nll(images, logits)

    def scale(self) -> None:
        """There is none."""
        return


Likelihood = (
    BernoulliLikelihood | DiscretizedLogisticLikelihood | GaussianLikelihood | OptimalGaussianLikelihood
)


def gaussian_nll(images: Tensor, means: Tensor, variance: Tensor) -> Tensor:
    """-log N(x; mean, variance I) = 1/2 sum((x - mean)^2 / variance + log(2 pi variance)).

    Args:
        images: (B, C, H, W) in [0, 1].
        means: (S, B, C, H, W).
        variance: One positive number, in squared units of the pixel range.

    Returns:
        (S, B). It is a density, so it can be negative.
    """
    num_pixels = images[0].numel()
    squared_error = (images - means).square().sum(dim=IMAGE_DIMENSIONS)
    return 0.5 * (squared_error / variance + num_pixels * torch.log(2 * math.pi * variance))


def bernoulli_nll(images: Tensor, logits: Tensor) -> Tensor:
    """-sum(x log p + (1 - x) log(1 - p)) with p = sigmoid(logits), (S, B, C, H, W) -> (S, B)."""
    images = images.expand_as(logits)
    losses = functional.binary_cross_entropy_with_logits(logits, images, reduction="none")
    return losses.sum(dim=IMAGE_DIMENSIONS)


def check_binary(images: Tensor) -> None:
    """Refuse what a Bernoulli likelihood says nothing of.

    Raises:
        ValueError: The pixels are not all 0 or 1. On grey pixels it is no log-likelihood of anything.
    """
    if not bool(((images == 0) | (images == 1)).all()):
        raise ValueError(
            "a Bernoulli likelihood is of binary pixels; these are grey: binarize or use a Gaussian"
        )


def build_likelihood(config: LossConfig) -> Likelihood:
    """The likelihood that a config names, not yet trained."""
    if config.likelihood == "bernoulli":
        return BernoulliLikelihood()
    if config.scale == "optimal":
        return OptimalGaussianLikelihood()
    is_learned = config.scale == "learned"
    scale = FIRST_SCALE if isinstance(config.scale, str) else config.scale
    if config.likelihood == "discretized_logistic":
        return DiscretizedLogisticLikelihood(scale, is_learned=is_learned)
    return GaussianLikelihood(scale, is_learned=is_learned)
