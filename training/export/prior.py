"""The mixture of Gaussians that samples are drawn from: fitted to the latents of the training images.

Ex-post density estimation: where the images' latents lie is not where the standard normal has its mass, and
less so the better the decoder's likelihood is calibrated (Ghosh et al. 2020, arXiv 1903.12436, section 4).

Shapes: N images, K components, D latent size.
"""

import dataclasses
import logging
import warnings

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from torch import Tensor, nn

from service.prior import Mixture
from training.data.splits import evenly_spaced
from training.lightning_module import VAETraining, as_unit_range, seeded_noise
from training.models.vae import reparametrize

logger = logging.getLogger(__name__)

BATCH_SIZE = 256
MAX_IMAGES = 50_000
MIN_IMAGES_PER_NUMBER = 2  # for each mean and each row of a covariance; fewer images get fewer components
SMALLEST_VARIANCE = 1e-4


def register_prior(module: nn.Module, mixture: Mixture) -> None:
    """Give a module the buffers that service.prior reads a checkpoint's fitted prior from."""
    for name, values in dataclasses.asdict(mixture).items():
        module.register_buffer(f"prior_{name}", torch.from_numpy(values))


def fit_mixture(z: Tensor, *, num_components: int, seed: int) -> Mixture:
    """Fit full-covariance Gaussians to latents z, float (N, D), by expectation maximization.

    Components for which there are too few images are left out; one is always there.
    """
    if len(z) == 1:  # of which there is no variance: the smallest that is allowed
        z = z.repeat(2, 1)
    num_images, latent_dim = z.shape
    num_components = max(1, min(num_components, num_images // (MIN_IMAGES_PER_NUMBER * latent_dim)))
    mixture = GaussianMixture(
        num_components, reg_covar=SMALLEST_VARIANCE, max_iter=200, random_state=seed, init_params="k-means++"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture.fit(z.double().numpy())
    factors = np.linalg.cholesky(mixture.covariances_)
    return Mixture(*(values.astype(np.float32) for values in (mixture.weights_, mixture.means_, factors)))


@torch.no_grad()
def training_latents(training: VAETraining, images: Tensor) -> Tensor:
    """A latent for each of up to 50,000 images, uint8 (N, C, H, W): drawn from its posterior, (N, D).

    Of more images some are taken all over the set, which may be sorted by class.
    """
    training.eval()
    latents = []
    chosen = evenly_spaced(len(images), min(MAX_IMAGES, len(images)))
    for seed, indices in enumerate(chosen.split(BATCH_SIZE)):
        mu, log_var = training.model.encode(as_unit_range(images[indices]))
        noise = seeded_noise(*mu.shape, seed=seed)
        latents.append(mu if training.is_autoencoder else reparametrize(mu, log_var, noise))
    return torch.cat(latents)
