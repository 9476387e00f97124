"""The importance-weighted bound of all images: hours on a CPU, so it is kept as far as it has come."""

import hashlib
import logging
from contextlib import closing
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from training.evaluate.bound import DISCRETE, bits_per_dimension
from training.evaluate.importance import ImportanceSampler
from training.evaluate.measurement import Measurement
from training.evaluate.partial import PartialResults

logger = logging.getLogger(__name__)


def measure_importance_bound(measurement: Measurement) -> None:
    """-log p(x) by importance sampling, taken up where an earlier evaluation was stopped."""
    num_samples = measurement.settings.num_importance_samples
    if num_samples == 0:
        return
    posterior, likelihood = measurement.checked_posterior(), measurement.checked_likelihood()
    results = PartialResults(
        partial_path(measurement), key=_key(measurement), num_images=len(measurement.shown)
    )
    missing = results.missing()
    logger.info("importance-weighted bound: %d latents for each of %d images", num_samples, len(missing))
    num_known = len(measurement.shown) - len(missing)
    if num_known:
        logger.info("%d images are taken from %s", num_known, results.path)
    sampler = ImportanceSampler(
        measurement.subject.autoencoder, likelihood, num_samples=num_samples, seed=measurement.settings.seed
    )
    try:
        with (
            closing(sampler.estimates(measurement.shown, posterior, indices=missing)) as estimates,
            _bar() as bar,
        ):
            task = bar.add_task(
                f"{num_samples} samples an image", total=len(measurement.shown), completed=num_known
            )
            for indices, values in estimates:
                results.add(indices, values)
                bar.advance(task, len(indices))
    except KeyboardInterrupt:
        num_known = len(measurement.shown) - len(results.missing())
        logger.info("%d images are kept in %s; the same command goes on from there", num_known, results.path)
        raise
    finally:
        results.save()
    measurement.figures.set_mean(f"nll_iw{num_samples}", results.values)
    if isinstance(likelihood, DISCRETE):
        bits = bits_per_dimension(float(results.values.mean()), measurement.shown[0].numel())
        measurement.figures.set(f"bits_per_dimension_iw{num_samples}", bits)


def partial_path(measurement: Measurement) -> Path:
    """The file that keeps what is known so far, beside the checkpoint."""
    path = measurement.subject.path
    return path.with_name(f"{path.name}.importance.npz")


def _key(measurement: Measurement) -> dict[str, object]:
    """All that decides the numbers."""
    return {
        "checkpoint": measurement.subject.digest,
        "likelihood": [measurement.subject.likelihood_name, measurement.checked_likelihood().scale()],
        "images": hashlib.sha256(measurement.images.shown.contiguous().numpy().data).hexdigest(),
        "num_samples": measurement.settings.num_importance_samples,
        "seed": measurement.settings.seed,
    }


def _bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, transient=True)
