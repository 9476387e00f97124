"""What a trained network is worth, measured on images that it was not trained on.

Shapes: N images, D latent size.
"""

import torch
from torch import Tensor

from training.lightning_module import VAETraining, as_unit_range, seeded_noise
from training.losses import BernoulliLikelihood

BATCH_SIZE = 256
ACTIVE_VARIANCE = 0.01


@torch.no_grad()
def measure_quality(training: VAETraining, images: Tensor) -> dict[str, float]:
    """Figures of the validation images, uint8 (N, C, H, W), one latent sample each from a fixed seed.

    Returns:
        elbo, rate and distortion in nats an image (elbo = -distortion - rate, at KL weight 1, a density of
        pixels in [0, 1] under a Gaussian likelihood, whose sigma is given too); mse of pixels in [0, 1];
        active_units, the number of latents whose posterior mean varies: Var(mu_d) > 0.01 (Burda, Grosse &
        Salakhutdinov 2016, arXiv 1509.00519, section 4.2).
    """
    training.eval()
    sums = {"distortion": 0.0, "rate": 0.0, "mse": 0.0}
    means = []
    for seed, batch in enumerate(images.split(BATCH_SIZE)):
        pixels = as_unit_range(batch)
        noise = seeded_noise(len(batch), training.config.model.latent_dim, seed=seed)
        for name, values in training.measure(pixels, noise=noise).items():
            sums[name] += float(values.double().sum())
        means.append(training.model.encode(pixels)[0])
    quality = {name: total / len(images) for name, total in sums.items()}
    quality["elbo"] = -quality["distortion"] - quality["rate"]
    quality["active_units"] = float((torch.cat(means).var(dim=0, correction=0) > ACTIVE_VARIANCE).sum())
    if not isinstance(training.likelihood, BernoulliLikelihood):
        quality["sigma"] = float(training.likelihood.variance) ** 0.5
    return {name: round(value, 6) for name, value in quality.items()}
