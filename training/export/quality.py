"""What a trained network is worth, measured on images that it was not trained on.

Shapes: N images, D latent size.
"""

import dataclasses

import torch
from torch import Tensor

from training.lightning_module import VAETraining, as_unit_range, seeded_noise
from training.losses import active_units

BATCH_SIZE = 256


@dataclasses.dataclass(frozen=True)
class Quality:
    """Measured figures.

    Attributes:
        figures: elbo, rate and distortion in nats an image (elbo = -distortion - rate, at KL weight 1; under
            a Gaussian likelihood a density of pixels in [0, 1]); mse of pixels in [0, 1]; active_units, the
            number of latents whose posterior mean varies: Var(mu_d) > 0.01 (Burda, Grosse & Salakhutdinov
            2016, arXiv 1509.00519, section 4.2), of two images or more; sigma or scale of the likelihood. An
            autoencoder has neither rate nor elbo.
        unit_kl: Mean KL divergence of each latent unit in nats; None of an autoencoder.
    """

    figures: dict[str, float]
    unit_kl: tuple[float, ...] | None


@torch.no_grad()
def measure_quality(training: VAETraining, images: Tensor) -> Quality:
    """Measure validation images, uint8 (N, C, H, W), with one latent sample each from a fixed seed."""
    training.eval()
    sums: dict[str, float] = {}
    means, kls = [], []
    for seed, batch in enumerate(images.split(BATCH_SIZE)):
        noise = seeded_noise(1, len(batch), training.config.model.latent_dim, seed=seed)
        terms = training.measure(as_unit_range(batch), noise=noise)
        for name, value in training.figures(terms).items():
            sums[name] = sums.get(name, 0.0) + float(value) * len(batch)
        means.append(terms.mu)
        kls.append(terms.unit_kl)
    figures = {name: total / len(images) for name, total in sums.items()}
    if len(images) > 1:  # the mean of one image varies with nothing
        figures["active_units"] = float(active_units(torch.cat(means)).sum())
    scale = training.likelihood.scale()
    if scale is not None:
        name = "sigma" if training.config.loss.likelihood == "gaussian" else "scale"
        figures[name] = scale
    unit_kl = torch.cat(kls).double().mean(dim=0).tolist()
    return Quality(
        figures={name: round(value, 6) for name, value in figures.items()},
        unit_kl=None if training.is_autoencoder else tuple(round(value, 6) for value in unit_kl),
    )
