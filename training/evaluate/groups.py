"""The groups of figures, each measured and set by one function, in the order in which they are measured."""

import math
from collections.abc import Callable

from training.evaluate.bound import DISCRETE, bits_per_dimension, distortions
from training.evaluate.importance_bound import measure_importance_bound
from training.evaluate.latents import mutual_information, prior_gap
from training.evaluate.measurement import Measurement
from training.evaluate.reconstruction import ms_ssim, psnr, squared_errors
from training.evaluate.samples import measure_frechet_distance, measure_sliced_wasserstein
from training.losses import active_units, gaussian_kl, unit_kl


def measure_distortion(measurement: Measurement) -> None:
    """-log p(x|z) at one latent an image: of its posterior, or the point that an autoencoder encodes to."""
    posterior = measurement.posterior
    z = posterior.mu if measurement.subject.is_point else posterior.z
    likelihood = measurement.checked_likelihood()
    distortion = distortions(measurement.subject.autoencoder, likelihood, measurement.shown, z=z)
    measurement.figures.set_mean("distortion", distortion)
    if measurement.subject.is_point:
        return
    elbo = -distortion.double() - gaussian_kl(posterior.mu, posterior.log_var)
    measurement.figures.set_mean("elbo", elbo)
    if isinstance(likelihood, DISCRETE):
        bits = bits_per_dimension(-float(elbo.mean()), measurement.shown[0].numel())
        measurement.figures.set("bits_per_dimension", bits)


def measure_rate(measurement: Measurement) -> None:
    """KL(q(z|x) || N(0, I)), of each latent unit too."""
    posterior = measurement.checked_posterior()
    kl = unit_kl(posterior.mu.double(), posterior.log_var.double())
    measurement.figures.set_mean("rate", kl.sum(dim=1))
    measurement.figures.unit_kl = tuple(round(value, 6) for value in kl.mean(dim=0).tolist())


def measure_reconstructions(measurement: Measurement) -> None:
    """Squared error and PSNR of what the posterior means decode to."""
    errors = squared_errors(measurement.shown, measurement.reconstructions)
    measurement.figures.set_mean("mse", errors)
    measurement.figures.set_mean("psnr", psnr(errors))


def measure_similarity(measurement: Measurement) -> None:
    """MS-SSIM of the same, under the name of what fits the images' size."""
    name, values = ms_ssim(measurement.shown, measurement.reconstructions)
    measurement.figures.set_mean(name, values)


def measure_active_units(measurement: Measurement) -> None:
    """Latent units whose posterior mean varies."""
    measurement.figures.set("active_units", float(active_units(measurement.posterior.mu).sum()))


def measure_information(measurement: Measurement) -> None:
    """What the latents tell of the image, and how far each prior is from their aggregate."""
    posterior = measurement.checked_posterior()
    information = mutual_information(posterior)
    measurement.figures.set("mutual_information", information)
    measurement.figures.protocol["mutual_information_limit"] = round(math.log(len(posterior.mu)), 6)
    for name, prior in measurement.subject.priors.items():
        gap = prior_gap(posterior, prior, information=information)
        measurement.figures.set(f"prior_gap_{name}", gap)


GROUPS: dict[str, Callable[[Measurement], None]] = {
    "distortion": measure_distortion,
    "rate": measure_rate,
    "reconstructions": measure_reconstructions,
    "similarity": measure_similarity,
    "active_units": measure_active_units,
    "mutual_information": measure_information,
    "sliced_wasserstein": measure_sliced_wasserstein,
    "frechet_classifier": measure_frechet_distance,
    "importance_bound": measure_importance_bound,
}
