from pathlib import Path

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from service.checkpoint import load
from tests import tiny_vae
from training.report.network import Network, Observations


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.randint(0, 256, (70, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def observations(tiny_checkpoint: Path, images: torch.Tensor) -> Observations:
    return Network(load(tiny_checkpoint)).observe(images)


def test_more_images_than_a_batch_are_encoded_and_their_mu_decoded(
    observations: Observations, images: torch.Tensor
) -> None:
    mu = tiny_vae.encoded_mu(images.permute(0, 2, 3, 1).numpy())
    np.testing.assert_allclose(observations.mu, mu, atol=1e-5)
    expected = tiny_vae.decoded(observations.mu.numpy()).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(observations.reconstructions, expected)


def test_mse_is_of_pixels_from_0_to_1(observations: Observations) -> None:
    difference = observations.images.double() - observations.reconstructions.double()
    np.testing.assert_allclose(observations.mse, (difference / 255).square().mean(dim=(1, 2, 3)), rtol=1e-5)


def test_unit_kl_is_that_of_torch(observations: Observations) -> None:
    posterior = Normal(observations.mu.double(), (0.5 * observations.log_var.double()).exp())
    expected = kl_divergence(posterior, Normal(0.0, 1.0)).mean(dim=0)
    np.testing.assert_allclose(observations.unit_kl, expected, rtol=1e-5)


def test_a_unit_is_active_where_the_variance_of_its_mean_is_above_a_hundredth() -> None:
    # The variance of half -a and half a is a^2.
    mu = torch.tensor([[-0.09, -0.11, 0.0], [0.09, 0.11, 0.0]])
    images = torch.zeros(2, 1, 1, 1, dtype=torch.uint8)
    observations = Observations(images, mu, torch.zeros(2, 3), images)
    assert observations.active.tolist() == [False, True, False]


def test_the_deviation_is_that_of_samples_of_the_posteriors() -> None:
    generator = torch.Generator().manual_seed(0)
    mu, log_var = torch.randn(2, 50, 2, generator=generator)
    images = torch.zeros(50, 1, 1, 1, dtype=torch.uint8)
    noise = torch.randn(20_000, 50, 2, generator=generator)
    samples = (mu + (0.5 * log_var).exp() * noise).flatten(0, 1)
    deviation = Observations(images, mu, log_var, images).deviation
    np.testing.assert_allclose(deviation, samples.std(dim=0), rtol=0.01)
