"""Scores among those of a checkpoint's validation images: how rare each is, and how they were found.

Shapes: N images, C channels, H height, W width.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from service.metadata import NUM_QUANTILES, Metadata, ScoreDistribution
from service.prior import Float64Array, Mixture
from service.scoring.figures import SURPRISES, figures
from service.scoring.likelihood import Likelihood, shown_images
from service.scoring.measurement import fixed_signs, logits_of, measure
from service.scripted import VAEModule

BATCH_SIZE = 256
# Beyond the last of these quantiles the tail is taken to fall as exponentially as between the two.
TAIL = (90, 99)
SIGNIFICANT_DIGITS = 7


def score_distribution(
    module: VAEModule, images: Tensor, metadata: Metadata, *, prior: Mixture | None
) -> ScoreDistribution | None:
    """Measure the scores of validation images, for the metadata of a checkpoint.

    Args:
        module: The exported module.
        images: uint8 (N, C, H, W), none of which the network learnt from.
        metadata: What the checkpoint says of itself.
        prior: Its mixture, None for the standard normal.

    Returns:
        None where the metadata does not say how wide the likelihood is.
    """
    likelihood = Likelihood.of(metadata)
    if likelihood is None:
        return None
    signs = fixed_signs(metadata.latent_dim)
    parts = []
    for batch in images.split(BATCH_SIZE):
        shown = shown_images(batch.permute(0, 2, 3, 1).contiguous().numpy(), metadata)
        with torch.inference_mode():
            measured = measure(
                torch.from_numpy(shown).permute(0, 3, 1, 2),
                encode=module.encode,
                decode_logits=logits_of(module),
                likelihood=likelihood,
                signs=signs,
            )
        parts.append(figures(shown, [tensor.numpy() for tensor in measured], prior))
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    quantiles = {name: _quantiles(values) for name, values in found.items()}
    quantiles["anomaly"] = _quantiles(_anomaly(found, quantiles))
    return ScoreDistribution(num_images=len(images), **quantiles)


def anomaly(found: Mapping[str, Float64Array], scores: ScoreDistribution) -> Float64Array:
    """The anomaly scores, (N,), of images with these figures: the more, the stranger; see service.scoring."""
    return _anomaly(found, {name: getattr(scores, name) for name in SURPRISES})


def percentile(anomalies: Float64Array, scores: ScoreDistribution) -> Float64Array:
    """The share of validation images with a smaller anomaly score, in percent, (N,)."""
    return np.interp(anomalies, scores.anomaly, np.linspace(0, 100, NUM_QUANTILES))


def _anomaly(found: Mapping[str, Float64Array], quantiles: Mapping[str, tuple[float, ...]]) -> Float64Array:
    surprises = [_surprise(found[name], np.array(quantiles[name])) for name in SURPRISES]
    total: Float64Array = np.sum(surprises, axis=0)
    return total


def _surprise(values: Float64Array, quantiles: Float64Array) -> Float64Array:
    """-log of the share of validation images with a larger value, in nats."""
    start, end = TAIL
    nats = -np.log1p(-np.arange(end + 1) / (NUM_QUANTILES - 1))
    nats_per_unit = (nats[end] - nats[start]) / max(quantiles[end] - quantiles[start], _least(quantiles[end]))
    beyond = np.maximum(values - quantiles[end], 0.0) * nats_per_unit
    surprise: Float64Array = np.interp(values, quantiles[: end + 1], nats) + beyond
    return surprise


def _least(value: float) -> float:
    """A difference that is still one beside a value."""
    return 1e-9 * max(1.0, abs(value))


def _quantiles(values: Float64Array) -> tuple[float, ...]:
    found = np.quantile(values, np.linspace(0, 1, NUM_QUANTILES))
    return tuple(float(f"{value:.{SIGNIFICANT_DIGITS}g}") for value in found)
