import math

import pytest
import torch
from scipy import stats
from torch.distributions import Bernoulli, Normal

from service.scoring.likelihood import bernoulli_nll, gaussian_nll
from training.config import LossConfig
from training.likelihoods import (
    BernoulliLikelihood,
    DiscretizedLogisticLikelihood,
    GaussianLikelihood,
    OptimalGaussianLikelihood,
    build_likelihood,
)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(5, 3, 8, 6, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def logits() -> torch.Tensor:
    return 2 * torch.randn(5, 3, 8, 6, generator=torch.Generator().manual_seed(2))


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
        BernoulliLikelihood().eval()(images, logits)


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


@pytest.mark.parametrize("scale", [0.0005, 0.01, 0.3])
def test_the_levels_of_a_discretized_logistic_add_up_to_one(scale: float) -> None:
    levels = torch.arange(256).view(256, 1, 1, 1) / 255
    for mean in (0.0, 0.001, 0.4, 0.999):
        logits = torch.logit(torch.tensor(mean, dtype=torch.float64)).expand(256, 1, 1, 1)
        log_probability = -DiscretizedLogisticLikelihood(scale).double()(levels.double(), logits)
        assert log_probability.exp().sum().item() == pytest.approx(1, abs=1e-6)


def test_a_discretized_logistic_has_the_mass_of_the_logistic_density_over_each_level() -> None:
    scale, mean, level = 0.05, 0.42, 100
    points = torch.linspace((level - 0.5) / 255, (level + 0.5) / 255, 100_001, dtype=torch.float64)
    # The density is F' = F (1 - F) / s.
    cdf = torch.sigmoid((points - mean) / scale)
    mass = torch.trapezoid(cdf * (1 - cdf) / scale, points)
    image = torch.full((1, 1, 1, 1), level / 255, dtype=torch.float64)
    nll = DiscretizedLogisticLikelihood(scale).double()(image, torch.full_like(image, math.log(0.42 / 0.58)))
    assert nll.item() == pytest.approx(-math.log(mass), abs=1e-6)


def test_a_discretized_logistic_stays_finite_far_from_the_mean() -> None:
    logits = torch.full((2, 1, 1, 1), 40.0, requires_grad=True)
    nll = DiscretizedLogisticLikelihood(0.001)(torch.tensor([0.0, 0.5]).view(2, 1, 1, 1), logits)
    nll.sum().backward()
    assert torch.isfinite(nll).all()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("likelihood", ["gaussian", "discretized_logistic"])
def test_a_learned_scale_finds_the_spread_of_the_errors(likelihood: str) -> None:
    generator = torch.Generator().manual_seed(0)
    noise = 0.05 * torch.randn(64, 1, 16, 16, generator=generator)
    images = ((0.5 + noise) * 255).round().clamp(0, 255) / 255
    learned = build_likelihood(LossConfig(likelihood=likelihood, scale="learned"))
    optimizer = torch.optim.Adam(learned.parameters(), lr=0.05)
    for _ in range(200):
        optimizer.zero_grad()
        learned(images, torch.zeros_like(images)).mean().backward()
        optimizer.step()
    distribution = stats.norm if likelihood == "gaussian" else stats.logistic
    _, expected = distribution.fit((images - 0.5).flatten().numpy(), floc=0)
    assert learned.scale() == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli", "discretized_logistic"])
def test_several_latents_an_image_are_measured_as_each_of_them_alone(
    images: torch.Tensor, likelihood: str
) -> None:
    config = LossConfig(likelihood=likelihood, scale=0.2)
    images = (images > 0.5).float()
    logits = torch.randn(3, *images.shape, generator=torch.Generator().manual_seed(3))
    measured = build_likelihood(config).eval()(images, logits)
    expected = torch.stack([build_likelihood(config).eval()(images, row) for row in logits])
    torch.testing.assert_close(measured, expected)


def test_a_sigma_below_the_smallest_is_told_as_it_is_used(images: torch.Tensor, logits: torch.Tensor) -> None:
    likelihood = GaussianLikelihood(1e-4)
    used = gaussian_nll(images, torch.sigmoid(logits), torch.tensor(likelihood.scale() ** 2))
    torch.testing.assert_close(likelihood(images, logits), used)
