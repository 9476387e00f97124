"""Likelihoods p(x|z) as modules that are trained: what an image costs in nats under the decoder's logits.

The formulas are those of service.scoring.likelihood; here is where their scale comes from. Logits may have
more dimensions in front than images, for several latents an image.

Shapes: S samples of z (there or not), B batch, C channels, H height, W width.
"""

import math

import torch
from torch import Tensor, nn

from service.scoring.likelihood import LEVELS, bernoulli_nll, discretized_logistic_nll, gaussian_nll
from training.config import LossConfig

FIRST_SCALE = 0.1  # where a learned scale starts
SMALLEST_VARIANCE = (1 / LEVELS / 4) ** 2  # a quarter of a level: below it the pixels' own rounding rules


class _ScaledLikelihood(nn.Module):
    """Pixels around sigmoid(logits), with one scale for all of them.

    Args:
        scale: In units of the pixel range.
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

    def scale(self) -> float:
        """In units of the pixel range."""
        return float(self.log_scale.detach().exp())


class GaussianLikelihood(_ScaledLikelihood):
    """Independent Gaussian pixels; the scale is their standard deviation sigma."""

    def forward(self, images: Tensor, logits: Tensor) -> Tensor:
        """Negative log-likelihood in nats, (S, B), of images (B, C, H, W) under logits (S, B, C, H, W)."""
        variance = (2 * self.log_scale).exp().clamp_min(SMALLEST_VARIANCE)
        return gaussian_nll(images, torch.sigmoid(logits), variance)

    def scale(self) -> float:
        """Sigma as it is used, in units of the pixel range."""
        return max(super().scale(), math.sqrt(SMALLEST_VARIANCE))


class DiscretizedLogisticLikelihood(_ScaledLikelihood):
    """Independent pixels of 256 levels; the scale is the logistic's s."""

    def forward(self, images: Tensor, logits: Tensor) -> Tensor:
        """Negative log-probability in nats, (S, B), of images (B, C, H, W) of whole levels."""
        return discretized_logistic_nll(images, torch.sigmoid(logits), self.log_scale.exp())


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
