import math

import pytest
import torch
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence

from training.losses import (
    GaussianLikelihood,
    OptimalGaussianLikelihood,
    bernoulli_nll,
    gaussian_kl,
    gaussian_nll,
)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(5, 3, 8, 6, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def logits() -> torch.Tensor:
    return 2 * torch.randn(5, 3, 8, 6, generator=torch.Generator().manual_seed(2))


def test_kl_is_that_of_torch_distributions() -> None:
    mu, log_var = torch.randn(2, 7, 11, generator=torch.Generator().manual_seed(0)).unbind()
    posterior = Independent(Normal(mu, torch.exp(log_var / 2)), 1)
    prior = Independent(Normal(torch.zeros(7, 11), torch.ones(7, 11)), 1)
    torch.testing.assert_close(gaussian_kl(mu, log_var), kl_divergence(posterior, prior))


def test_kl_of_the_prior_itself_is_zero() -> None:
    assert gaussian_kl(torch.zeros(2, 4), torch.zeros(2, 4)).tolist() == [0, 0]


def test_kl_of_a_shifted_unit_gaussian_is_half_the_squared_distance() -> None:
    assert gaussian_kl(torch.tensor([[3.0, 4.0]]), torch.zeros(1, 2)).tolist() == [12.5]


@pytest.mark.parametrize("sigma", [0.05, 1.0, 1.24])
def test_gaussian_nll_is_that_of_torch_distributions(
    images: torch.Tensor, logits: torch.Tensor, sigma: float
) -> None:
    expected = -Normal(torch.sigmoid(logits), sigma).log_prob(images).sum(dim=(1, 2, 3))
    torch.testing.assert_close(GaussianLikelihood(sigma)(images, logits), expected)


def test_bernoulli_nll_is_that_of_torch_distributions(images: torch.Tensor, logits: torch.Tensor) -> None:
    binary = (images > 0.5).float()
    expected = -Bernoulli(logits=logits).log_prob(binary).sum(dim=(1, 2, 3))
    torch.testing.assert_close(bernoulli_nll(binary, logits), expected)


def test_bernoulli_refuses_grey_pixels(images: torch.Tensor, logits: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="binary"):
        bernoulli_nll(images, logits)


def test_optimal_sigma_has_the_smallest_nll_of_all_sigmas(images: torch.Tensor, logits: torch.Tensor) -> None:
    optimal = OptimalGaussianLikelihood().train()(images, logits).mean()
    mse = (torch.sigmoid(logits) - images).square().mean()
    for factor in (0.9, 0.99, 1.01, 1.1):
        assert gaussian_nll(images, torch.sigmoid(logits), factor * mse).mean() > optimal


def test_optimal_sigma_objective_is_half_the_dimensions_times_log_mse(
    images: torch.Tensor, logits: torch.Tensor
) -> None:
    mse = (torch.sigmoid(logits) - images).square().mean()
    expected = 3 * 8 * 6 / 2 * (math.log(2 * math.pi * math.e) + mse.log())
    torch.testing.assert_close(OptimalGaussianLikelihood().train()(images, logits).mean(), expected)


def test_optimal_sigma_of_an_image_in_evaluation_does_not_depend_on_its_batch(
    images: torch.Tensor, logits: torch.Tensor
) -> None:
    likelihood = OptimalGaussianLikelihood().train()
    likelihood(images, logits)
    likelihood.eval()
    torch.testing.assert_close(likelihood(images, logits)[:2], likelihood(images[:2], logits[:2]))


def test_the_articles_loss_is_the_gaussian_elbo_with_sigma_1_24(
    images: torch.Tensor, logits: torch.Tensor
) -> None:
    # MSE + w KL, divided by w, has the gradients of NLL + KL at sigma^2 = D w / 2.
    weight, num_dimensions = 0.00025, 3 * 8 * 6
    logits.requires_grad_(True)
    mse = (torch.sigmoid(logits) - images).square().mean()
    (expected,) = torch.autograd.grad(mse / weight, logits)
    likelihood = GaussianLikelihood(math.sqrt(num_dimensions * weight / 2))
    (measured,) = torch.autograd.grad(likelihood(images, logits).mean(), logits)
    torch.testing.assert_close(measured, expected)
