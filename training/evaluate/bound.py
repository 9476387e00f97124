"""The evidence lower bound of each image in nats: -distortion - rate.

Shapes: N images, D latent size.
"""

import math

import torch
from torch import Tensor

from training.evaluate.autoencoder import Autoencoder
from training.evaluate.posterior import BATCH_SIZE
from training.lightning_module import as_unit_range
from training.likelihoods import BernoulliLikelihood, DiscretizedLogisticLikelihood, Likelihood

DISCRETE = (BernoulliLikelihood, DiscretizedLogisticLikelihood)


def distortions(autoencoder: Autoencoder, likelihood: Likelihood, images: Tensor, *, z: Tensor) -> Tensor:
    """-log p(x|z), (N,), of uint8 images (N, C, H, W) and latents (N, D)."""
    parts = zip(images.split(BATCH_SIZE), z.split(BATCH_SIZE), strict=True)
    return torch.cat(
        [likelihood(as_unit_range(batch), autoencoder.decode_logits(latents)) for batch, latents in parts]
    )


def bits_per_dimension(nll: float, num_dimensions: int) -> float:
    """Nats an image -> bits for each of its numbers; of a probability, not of a density."""
    return nll / num_dimensions / math.log(2)
