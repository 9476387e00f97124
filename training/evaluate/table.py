"""The figures as a table for people."""

from rich.table import Table

from training.evaluate.measurement import Measurement

# By the beginning of the name; the first that fits. The table has this order.
MEANINGS = {
    "elbo": "nats, higher is better",
    "rate": "nats, KL of the posterior",
    "distortion": "nats, -log p(x|z)",
    "nll_iw": "nats, lower is better",
    "bits_per_dimension_iw": "of the importance-weighted bound",
    "bits_per_dimension": "of the ELBO",
    "mse": "pixels in [0, 1]",
    "psnr": "dB, higher is better",
    "ms_ssim": "1 is equal",
    "ssim": "1 is equal",
    "active_units": "latent units in use",
    "mutual_information": "nats, at most log N of N images",
    "prior_gap": "nats, an upper bound where that is log N",
    "sliced_wasserstein_train": "training images, for scale",
    "sliced_wasserstein": "samples, lower is better",
    "frechet_classifier_train": "training images, for scale",
    "frechet_classifier": "samples, lower is better",
}


def figures_table(measurement: Measurement) -> Table:
    """Each figure with its standard error, where it is a mean over images, and what it is."""
    images, figures = measurement.images, measurement.figures
    title = f"{measurement.subject.path}: {len(images.shown)} {images.split} images"
    table = Table(title=title, title_justify="left")
    table.add_column("figure", no_wrap=True)
    table.add_column("value", justify="right")
    table.add_column("±", justify="right")
    table.add_column("")
    for name in sorted(figures.values, key=_place):
        error = figures.standard_errors.get(name)
        meaning = list(MEANINGS.values())[_place(name)]
        table.add_row(name, _shown(figures.values[name]), "" if error is None else f"{error:.2g}", meaning)
    return table


def _place(name: str) -> int:
    """Of the meaning of a figure in the list of them."""
    return next(place for place, start in enumerate(MEANINGS) if name.startswith(start))


def _shown(value: float) -> str:
    if value.is_integer():
        return f"{value:.0f}"
    return f"{value:.3f}" if abs(value) >= 1 else f"{value:.5f}"
