"""The figures as a table for people."""

from rich.table import Table

from training.evaluate.measurement import Measurement

# By the beginning of the name; the first that fits.
MEANINGS = {
    "elbo": "nats, higher is better: -distortion - rate",
    "distortion": "nats: -log p(x|z)",
    "rate": "nats: KL of the posterior from the standard normal",
    "nll_iw": "nats, lower is better: importance-weighted -log p(x)",
    "bits_per_dimension_iw": "bits, lower is better: the importance-weighted bound",
    "bits_per_dimension": "bits, lower is better: the ELBO",
    "mse": "of pixels in [0, 1], lower is better: decoded posterior means",
    "psnr": "dB, higher is better",
    "ms_ssim": "of 1, higher is better",
    "ssim": "of 1, higher is better",
    "active_units": "latent units whose mean varies by more than 0.01",
    "mutual_information": "nats: between image and latent",
    "prior_gap": "nats: KL of all latents together from this prior",
    "sliced_wasserstein_train": "the same of training images, for scale",
    "sliced_wasserstein": "samples of this prior to these images, lower is better",
    "frechet_classifier_train": "the same of training images, for scale",
    "frechet_classifier": "samples of this prior to these images, lower is better; not FID",
}


def figures_table(measurement: Measurement) -> Table:
    """Each figure with its standard error, where it is a mean over images, and what it is."""
    images, figures = measurement.images, measurement.figures
    title = f"{measurement.subject.path}: {len(images.shown)} {images.split} images"
    table = Table("figure", title=title, title_justify="left")
    table.add_column("value", justify="right")
    table.add_column("±", justify="right")
    table.add_column("")
    for name, value in figures.values.items():
        error = figures.standard_errors.get(name)
        meaning = next((text for start, text in MEANINGS.items() if name.startswith(start)), "")
        table.add_row(name, _shown(value), "" if error is None else f"{error:.2g}", meaning)
    return table


def _shown(value: float) -> str:
    if value.is_integer():
        return f"{value:.0f}"
    return f"{value:.3f}" if abs(value) >= 1 else f"{value:.5f}"
