"""Likelihoods against torch.distributions, and what a checkpoint says of its own."""

import numpy as np
import pytest
import torch

from service.scoring.likelihood import Likelihood, shown_images
from tests import tiny_vae

SHAPE = (5, 3, 6, 4)


@pytest.fixture(scope="module")
def logits() -> torch.Tensor:
    return 4 * torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))


def levels(seed: int = 1) -> torch.Tensor:
    return torch.randint(0, 256, SHAPE, generator=torch.Generator().manual_seed(seed)) / 255


@pytest.mark.parametrize("sigma", [0.01, 0.1, 1.24])
def test_a_gaussian_is_that_of_torch(logits: torch.Tensor, sigma: float) -> None:
    expected = -torch.distributions.Normal(torch.sigmoid(logits.double()), sigma).log_prob(levels().double())
    found = Likelihood("gaussian", sigma).nll(levels(), logits)
    torch.testing.assert_close(found.double(), expected.sum(dim=(1, 2, 3)), rtol=1e-5, atol=1e-3)


def test_a_bernoulli_is_that_of_torch(logits: torch.Tensor) -> None:
    images = (levels() > 0.5).float()
    expected = -torch.distributions.Bernoulli(logits=logits.double()).log_prob(images.double())
    found = Likelihood("bernoulli", 1.0).nll(images, logits)
    torch.testing.assert_close(found.double(), expected.sum(dim=(1, 2, 3)), rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("scale", [0.003, 0.03, 0.3])
def test_a_discretized_logistic_is_the_mass_of_each_level(logits: torch.Tensor, scale: float) -> None:
    means, half = torch.sigmoid(logits.double()), 0.5 / 255
    images = levels().double()

    def cumulative(edges: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid((edges - means) / scale)

    upper = torch.where(images == 1, 1.0, cumulative(images + half))
    lower = torch.where(images == 0, 0.0, cumulative(images - half))
    found = Likelihood("discretized_logistic", scale).nll(levels(), logits)
    # Masses that are too small for the plain difference are left out of the comparison.
    is_exact = ((upper - lower) > 1e-9).flatten(1).all(dim=1)
    expected = -torch.log(upper - lower).sum(dim=(1, 2, 3))
    torch.testing.assert_close(found.double()[is_exact], expected[is_exact], rtol=1e-4, atol=1e-2)
    assert torch.isfinite(found).all()


@pytest.mark.parametrize("scale", [0.003, 0.05, 2.0])
def test_the_levels_of_a_discretized_logistic_add_up_to_one(scale: float) -> None:
    every_level = (torch.arange(256) / 255).view(256, 1, 1, 1)
    for mean in (0.001, 0.3, 0.5, 0.999):
        logits = torch.logit(torch.tensor(mean)).expand(256, 1, 1, 1)
        costs = Likelihood("discretized_logistic", scale).nll(every_level, logits)
        assert torch.exp(-costs.double()).sum().item() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"likelihood": "gaussian", "likelihood_scale": 0.2}, Likelihood("gaussian", 0.2)),
        (
            {"likelihood": "gaussian", "likelihood_scale": None, "quality": {"sigma": 0.3}},
            Likelihood("gaussian", 0.3),
        ),
        (
            {"likelihood": "gaussian", "likelihood_scale": 0.2, "quality": {"sigma": 0.3}},
            Likelihood("gaussian", 0.2),
        ),
        ({"likelihood": "gaussian", "likelihood_scale": None}, None),
        ({"likelihood": "gaussian", "likelihood_scale": None, "quality": {"sigma": 0.0}}, None),
        (
            {"likelihood": "discretized_logistic", "likelihood_scale": 0.05},
            Likelihood("discretized_logistic", 0.05),
        ),
        ({"likelihood": "discretized_logistic", "likelihood_scale": None, "quality": {"sigma": 0.3}}, None),
        ({"likelihood": "bernoulli", "likelihood_scale": None}, Likelihood("bernoulli", 1.0)),
    ],
)
def test_the_likelihood_of_a_checkpoint_is_what_its_metadata_says(
    changes: dict[str, object], expected: Likelihood | None
) -> None:
    assert Likelihood.of(tiny_vae.metadata(**changes)) == expected


def test_grey_pixels_are_drawn_only_for_a_likelihood_of_binary_ones() -> None:
    images = np.random.default_rng(0).integers(0, 256, (400, 9, 9, 1), np.uint8)
    np.testing.assert_array_equal(shown_images(images, tiny_vae.metadata()), images)
    binary = shown_images(images, tiny_vae.metadata(likelihood="bernoulli"))
    assert set(np.unique(binary)) == {0, 255}
    np.testing.assert_array_equal(shown_images(binary, tiny_vae.metadata(likelihood="bernoulli")), binary)


def test_a_pixel_is_drawn_as_often_as_it_is_light_and_the_same_in_every_image() -> None:
    described = tiny_vae.metadata(likelihood="bernoulli")
    grey = np.broadcast_to(np.arange(256, dtype=np.uint8)[:, None, None, None], (256, 100, 100, 1))
    drawn = shown_images(grey, described) == 255
    shares = drawn.mean(axis=(1, 2, 3))
    # Five standard errors of a share of 10,000 pixels at most.
    np.testing.assert_allclose(shares, np.arange(256) / 255, atol=0.025)
    assert shares[0] == 0
    assert shares[255] == 1
    np.testing.assert_array_equal(
        shown_images(grey[100:101], described)[0, ..., 0] == 255, drawn[100, ..., 0]
    )
