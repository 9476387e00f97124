"""Likelihoods p(x|z): what one image costs in nats, and which of them a checkpoint was trained with.

Pixels are in [0, 1]; densities are with respect to that unit.

Shapes: S samples of z (there or not), B batch, N images, C channels, H height, W width.
"""

import dataclasses
import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from service.metadata import Likelihood as LikelihoodName
from service.metadata import Metadata
from service.scripted import UInt8Array

LEVELS = 255
IMAGE_DIMENSIONS = (-3, -2, -1)
# Of the chance by which grey pixels become black or white ones.
THRESHOLD_SEED = 0


@dataclasses.dataclass(frozen=True)
class Likelihood:
    """Independent pixels around the means that the decoder gives.

    Attributes:
        kind: As in the metadata.
        scale: Sigma of a Gaussian, s of a discretized logistic, in units of the pixel range; 1 of Bernoulli,
            which has none.
    """

    kind: LikelihoodName
    scale: float

    @classmethod
    def of(cls, metadata: Metadata) -> "Likelihood | None":
        """That of a checkpoint; None where it does not say which it is, or how wide."""
        kind, scale = metadata.likelihood, metadata.likelihood_scale
        if kind == "bernoulli":
            return cls(kind, 1.0)
        if scale is None and kind == "gaussian":
            scale = metadata.quality.get("sigma")
        return cls(kind, scale) if kind and scale and scale > 0 else None

    def nll(self, images: Tensor, logits: Tensor) -> Tensor:
        """-log p(x|z) in nats, (B,), of images (B, C, H, W) in [0, 1] under logits of the same shape.

        Of a Gaussian it is a density in units of the pixel range, so it can be negative.
        """
        scale = torch.tensor(self.scale, dtype=torch.float64)  # a number: the result has the images' own type
        match self.kind:
            case "gaussian":
                return gaussian_nll(images, torch.sigmoid(logits), scale.square())
            case "bernoulli":
                return bernoulli_nll(images, logits)
            case "discretized_logistic":
                return discretized_logistic_nll(images, torch.sigmoid(logits), scale)


def shown_images(images: UInt8Array, metadata: Metadata) -> UInt8Array:
    """Images, uint8 (N, H, W, C), as the likelihood takes them.

    As they are; but where it is one of binary pixels each pixel is drawn from its grey value, as in training,
    by chance that is the same for every image. A picture in black and white stays as it is.
    """
    if metadata.likelihood != "bernoulli":
        return images
    shape = images.shape[1:]
    thresholds = np.random.Philox(key=THRESHOLD_SEED).random_raw(math.prod(shape)) % np.uint64(LEVELS)
    return np.where(images > thresholds.reshape(shape), LEVELS, 0).astype(np.uint8)


def gaussian_nll(images: Tensor, means: Tensor, variance: Tensor) -> Tensor:
    """-log N(x; mean, variance I) = 1/2 sum((x - mean)^2 / variance + log(2 pi variance)).

    Args:
        images: (B, C, H, W) in [0, 1].
        means: (S, B, C, H, W), or without S.
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
    costs = functional.binary_cross_entropy_with_logits(logits, images, reduction="none")
    return costs.sum(dim=IMAGE_DIMENSIONS)


def discretized_logistic_nll(images: Tensor, means: Tensor, scale: Tensor) -> Tensor:
    """-sum log P(x), each of 256 levels having the logistic density's mass over it.

    P(x) = F((x + h - m) / s) - F((x - h - m) / s), h being half a level, F the logistic function and m the
    mean; the outermost levels take in what lies beyond them, so that all add up to one.
    Source: Kingma et al. 2016 (arXiv 1606.04934), equation 18.

    Args:
        images: (B, C, H, W) of whole levels, in [0, 1].
        means: (S, B, C, H, W), or without S.
        scale: s, one positive number in units of the pixel range.

    Returns:
        (S, B).
    """
    # F(a) - F(b) = F(a) F(-b) (1 - exp(b - a)), which is exact however small the difference is.
    centred = images - means
    half = 0.5 / LEVELS
    below = functional.softplus((-half - centred) / scale)
    above = functional.softplus((centred - half) / scale)
    width = -torch.log(-torch.expm1(-2 * half / scale))
    lowest, highest = images < half, images > 1 - half
    costs = (
        torch.where(highest, 0.0, below)
        + torch.where(lowest, 0.0, above)
        + torch.where(lowest | highest, 0.0, width)
    )
    return costs.sum(dim=IMAGE_DIMENSIONS)
