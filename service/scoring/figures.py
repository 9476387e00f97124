"""The figures of a score, from what was measured; row by row, so that no image changes another's.

Shapes: N images, C channels, H height, W width, D latent size.
"""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

from service.prior import Float64Array, Mixture, log_density
from service.scoring.likelihood import LEVELS
from service.scripted import Float32Array, UInt8Array

# The variance of a pixel's own rounding: differences below it say nothing.
ROUNDING_VARIANCE = 1 / 12 / LEVELS**2
# What the anomaly score is made of.
SURPRISES = ("latent", "contrast", "texture")

Floats = TypeVar("Floats", Float32Array, Float64Array)


def figures(
    images: UInt8Array, measured: Sequence[Float32Array], prior: Mixture | None
) -> Mapping[str, Float64Array]:
    """The figures of images.

    Args:
        images: uint8 (N, H, W, C), those that were measured.
        measured: Distortion, mse, mu and log_var; see measurement.measure.
        prior: The mixture of the checkpoint, None for the standard normal.

    Returns:
        Under each name (N,). `elbo`, `rate` and `distortion` are in nats; see kl_divergence for the rate.
        `mse` is of pixels in [0, 1]. SURPRISES are -log p(mu) under the prior, and the logarithms of mse over
        the variance of the image's pixels, its contrast, and over half the mean square of the differences
        between neighbours, its texture: of white noise the same.
    """
    distortion, mse, mu, log_var = (array.astype(np.float64) for array in measured)
    rate = kl_divergence(mu, log_var)
    pixels = images.astype(np.float64) / LEVELS
    contrast = pixels.reshape(len(pixels), -1).var(axis=1)
    differences = [np.diff(pixels, axis=axis).reshape(len(pixels), -1) for axis in (1, 2)]
    texture = _mean_squares(np.concatenate(differences, axis=1)) / 2
    return {
        "elbo": -distortion - rate,
        "rate": rate,
        "distortion": distortion,
        "mse": mse,
        "latent": -log_density(mu, prior),
        "contrast": _log_share(mse, contrast),
        "texture": _log_share(mse, texture),
    }


def kl_divergence(mu: Floats, log_var: Floats) -> Floats:
    """KL(q(z|x) || N(0, I)) in nats (N,), of mu and log_var (N, D); infinite where it is too large.

    Source: Kingma and Welling 2014 (arXiv 1312.6114), appendix B.
    """
    with np.errstate(over="ignore"):
        kl: Floats = 0.5 * (np.square(mu) + np.exp(log_var) - 1.0 - log_var).sum(axis=1)
    return kl


def _mean_squares(rows: Float64Array) -> Float64Array:
    mean: Float64Array = np.square(rows).sum(axis=1) / max(1, rows.shape[1])
    return mean


def _log_share(part: Float64Array, whole: Float64Array) -> Float64Array:
    share: Float64Array = np.log((part + ROUNDING_VARIANCE) / (whole + ROUNDING_VARIANCE))
    return share
