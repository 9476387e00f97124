"""The likelihood p(x|z) that a checkpoint was trained with, as its metadata tells it.

Shapes: B batch, N images, C channels, H height, W width.
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
        match self.kind:
            case "gaussian":
                variance = self.scale**2
                squares = (images - torch.sigmoid(logits)).square()
                costs = 0.5 * (squares / variance + math.log(2 * math.pi * variance))
            case "bernoulli":
                costs = functional.binary_cross_entropy_with_logits(logits, images, reduction="none")
            case "discretized_logistic":
                costs = _discretized_logistic(images, torch.sigmoid(logits), self.scale)
        return costs.flatten(1).sum(dim=1)


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


def _discretized_logistic(images: Tensor, means: Tensor, scale: float) -> Tensor:
    """-log (F((x + h - m) / s) - F((x - h - m) / s)), h half a level, the outermost levels open to infinity.

    Source: Kingma et al. 2016 (arXiv 1606.04934), equation 18. By F(a) - F(b) = F(a) F(-b) (1 - exp(b - a)),
    which is exact however small the difference.
    """
    half = 0.5 / LEVELS
    below = functional.softplus((means - images - half) / scale)
    above = functional.softplus((images - means - half) / scale)
    width = -math.log(-math.expm1(-2 * half / scale))
    is_lowest, is_highest = images < half, images > 1 - half
    costs = torch.where(is_highest, 0.0, below) + torch.where(is_lowest, 0.0, above)
    return costs + torch.where(is_lowest | is_highest, 0.0, width)
