"""The posterior of every image, and one latent drawn from it: what most figures start from.

Shapes: N images, D latent size.
"""

import dataclasses

import torch
from torch import Tensor

from training.evaluate.autoencoder import Autoencoder
from training.lightning_module import seeded_noise
from training.models.vae import reparametrize

BATCH_SIZE = 256


@dataclasses.dataclass(frozen=True)
class Posterior:
    """q(z|x) of each image.

    Attributes:
        mu: float32 (N, D).
        log_var: float32 (N, D).
        z: float32 (N, D), one sample each.
    """

    mu: Tensor
    log_var: Tensor
    z: Tensor


def encode_images(autoencoder: Autoencoder, images: Tensor, *, seed: int) -> Posterior:
    """Encode uint8 images (N, C, H, W); the noise of their samples depends on the seed alone."""
    batches = [autoencoder.encode(batch) for batch in images.split(BATCH_SIZE)]
    mu, log_var = (torch.cat(parts).float() for parts in zip(*batches, strict=True))
    noise = seeded_noise(*mu.shape, seed=seed).to(mu.device)
    return Posterior(mu, log_var, reparametrize(mu, log_var, noise))
