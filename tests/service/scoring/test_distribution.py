"""Scores among those of the validation images: tails, percentiles, and how they get into the metadata."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from service import checkpoint
from service.errors import InvalidCheckpoint
from service.metadata import NUM_QUANTILES, Metadata, ScoreDistribution, parse_metadata
from service.scoring.distribution import anomaly, percentile, score_distribution
from service.scoring.figures import SURPRISES
from service.scripted import as_vae
from tests import tiny_vae

GRID = np.linspace(0, 1, NUM_QUANTILES)
NAMES = ("elbo", "rate", "distortion", "mse", *SURPRISES, "anomaly")


def distribution(**quantiles: np.ndarray) -> ScoreDistribution:
    ascending = tuple(GRID)
    own = {name: tuple(map(float, quantiles.get(name, ascending))) for name in NAMES}
    return ScoreDistribution(num_images=1000, **own)


def only(name: str, values: np.ndarray) -> dict[str, np.ndarray]:
    """Figures of which all but one are the least there are."""
    return {other: values if other == name else np.full(len(values), -1e9) for other in SURPRISES}


@pytest.mark.parametrize("name", SURPRISES)
def test_a_figure_counts_by_its_tail_among_the_validation_images(name: str) -> None:
    # Exponentially distributed figures: the tail beyond x is exp(-x), so x nats.
    exponential = -np.log1p(-np.minimum(GRID, 0.999))
    values = np.array([-5, 0, 0.1, 0.5, 1, 2, 4, 10, 100.0])
    expected = np.maximum(values, 0)
    found = anomaly(only(name, values), distribution(**{name: exponential}))
    np.testing.assert_allclose(found, expected, rtol=0.02, atol=0.01)


def test_a_tail_that_falls_slower_counts_less() -> None:
    fast, slow = (distribution(latent=scale * -np.log1p(-np.minimum(GRID, 0.999))) for scale in (1, 3))
    figures = only("latent", np.array([9.0]))
    assert anomaly(figures, fast)[0] == pytest.approx(3 * anomaly(figures, slow)[0], rel=1e-6)


def test_an_image_of_the_data_has_three_nats_on_average() -> None:
    random = np.random.default_rng(0)
    known, new = ({name: random.gamma(2.0, size=20_000) for name in SURPRISES} for _ in range(2))
    scores = distribution(**{name: np.quantile(values, GRID) for name, values in known.items()})
    assert anomaly(new, scores).mean() == pytest.approx(3, abs=0.1)


def test_figures_that_are_all_the_same_break_nothing() -> None:
    scores = distribution(contrast=np.full(NUM_QUANTILES, 2.0))
    found = anomaly(only("contrast", np.array([1.0, 2.0, 2.5])), scores)
    assert np.isfinite(found).all()
    assert (np.diff(found) >= 0).all()


def test_a_percentile_is_the_share_of_validation_images_below() -> None:
    scores = distribution(anomaly=10 * GRID)
    found = percentile(np.array([-1, 0, 2.5, 9.99, 10, 11]), scores)
    np.testing.assert_allclose(found, [0, 0, 25, 99.9, 100, 100])


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    """Decoded latents with noise on them: what the tiny VAE may have learnt from."""
    random = np.random.default_rng(0)
    pixels = tiny_vae.decoded(random.normal(size=(600, 4)).astype(np.float32)).astype(int)
    pixels += random.integers(-9, 10, pixels.shape)
    return torch.from_numpy(np.clip(pixels, 0, 255).astype(np.uint8)).permute(0, 3, 1, 2)


def test_the_scores_of_validation_images_are_measured(images: torch.Tensor) -> None:
    scores = score_distribution(tiny_vae.TinyVAE(), images, tiny_vae.metadata(), prior=None)
    assert scores is not None
    assert scores.num_images == 600
    mu = tiny_vae.encoded_mu(images.permute(0, 2, 3, 1).numpy()).astype(float)
    log_var = np.array(tiny_vae.LOG_VAR)
    rate = 0.5 * (mu**2 + np.exp(log_var) - 1 - log_var).sum(axis=1)
    np.testing.assert_allclose(scores.rate, np.quantile(rate, GRID), rtol=1e-4)
    assert scores.anomaly[50] == pytest.approx(2.7, abs=0.5)  # the median of three exponential numbers


def test_all_quantiles_of_a_single_image_are_its_own(images: torch.Tensor) -> None:
    scores = score_distribution(tiny_vae.TinyVAE(), images[:1], tiny_vae.metadata(), prior=None)
    assert scores is not None
    assert all(len(set(getattr(scores, name))) == 1 for name in NAMES)


def test_without_a_scale_there_is_no_distribution(images: torch.Tensor) -> None:
    described = tiny_vae.metadata(likelihood_scale=None)
    assert score_distribution(tiny_vae.TinyVAE(), images, described, prior=None) is None


def test_they_are_stored_in_a_checkpoint_and_read_again(images: torch.Tensor, tmp_path: Path) -> None:
    path = tiny_vae.save(tmp_path / "model.pt", module=tiny_vae.FittedVAE(), prior="fitted")
    loaded = checkpoint.load(path)
    scores = score_distribution(as_vae(loaded.module), images, loaded.metadata, prior=loaded.prior)
    checkpoint.replace_metadata(path, loaded.metadata.model_copy(update={"scores": scores}))
    assert checkpoint.load(path).metadata.scores == scores


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"mse": list(range(100))}, "metadata.scores.mse"),
        ({"mse": list(range(102))}, "metadata.scores.mse"),
        ({"mse": list(range(101, 0, -1))}, "metadata.scores.mse"),
        ({"mse": ["x"] * 101}, "metadata.scores.mse.0"),
        ({"num_images": 0}, "metadata.scores.num_images"),
        ({"other": []}, "metadata.scores.other"),
    ],
)
def test_a_distribution_that_is_wrong_is_named(change: dict[str, object], field: str) -> None:
    described = tiny_vae.metadata(scores=distribution()).model_dump(mode="json")
    described["scores"].update(change)
    with pytest.raises(InvalidCheckpoint) as caught:
        parse_metadata(json.dumps(described).encode())
    assert caught.value.field == field


def test_a_number_that_is_not_finite_is_no_quantile() -> None:
    with pytest.raises(ValidationError):
        distribution(mse=np.full(NUM_QUANTILES, np.inf))


def test_metadata_without_scores_stay_valid() -> None:
    text = tiny_vae.metadata().model_dump_json(exclude={"scores"}).encode()
    assert isinstance(parse_metadata(text), Metadata)
    assert parse_metadata(text).scores is None
