import math

import pytest
import torch
from torch.distributions import (
    Categorical,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    kl_divergence,
)

from service.prior import Mixture
from training.evaluate.latents import (
    log_aggregate_posterior,
    mutual_information,
    prior_gap,
)
from training.evaluate.posterior import Posterior
from training.evaluate.prior import Prior


def posterior_of(mu: torch.Tensor, log_var: torch.Tensor, *, seed: int = 0) -> Posterior:
    noise = torch.randn(mu.shape, generator=torch.Generator().manual_seed(seed))
    return Posterior(mu, log_var, mu + torch.exp(0.5 * log_var) * noise)


def test_the_aggregate_posterior_is_the_mixture_of_all_posteriors() -> None:
    generator = torch.Generator().manual_seed(0)
    mu, log_var = torch.randn(2, 30, 4, generator=generator)
    posterior = posterior_of(mu, log_var)
    mixture = MixtureSameFamily(
        Categorical(torch.ones(30).double()),
        Independent(Normal(mu.double(), (0.5 * log_var.double()).exp()), 1),
    )
    torch.testing.assert_close(log_aggregate_posterior(posterior), mixture.log_prob(posterior.z.double()))


def test_posteriors_far_apart_tell_which_image_it_is() -> None:
    mu = 100 * torch.eye(50)
    assert mutual_information(posterior_of(mu, torch.zeros(50, 50))) == pytest.approx(math.log(50), abs=1e-4)


def test_posteriors_that_are_all_the_same_tell_nothing() -> None:
    posterior = posterior_of(torch.ones(500, 3), torch.full((500, 3), -1.0))
    assert mutual_information(posterior) == pytest.approx(0, abs=1e-6)


def test_information_and_gap_are_those_of_gaussians_and_add_up_to_the_rate() -> None:
    # z = mu + noise with mu ~ N(0, 0.8), noise ~ N(0, 0.2): I = 1/2 log(1 / 0.2), and z is standard normal.
    generator = torch.Generator().manual_seed(0)
    mu = math.sqrt(0.8) * torch.randn(4000, 1, generator=generator)
    posterior = posterior_of(mu, torch.full((4000, 1), math.log(0.2)), seed=1)
    information = mutual_information(posterior)
    gap = prior_gap(posterior, Prior(1), information=information)
    assert information == pytest.approx(0.5 * math.log(5), abs=0.04)
    assert gap == pytest.approx(0, abs=0.06)
    rate = kl_divergence(Normal(mu, math.sqrt(0.2)), Normal(0.0, 1.0)).mean()
    assert information + gap == pytest.approx(float(rate), abs=1e-4)


def test_a_prior_that_is_the_aggregate_posterior_has_no_gap_where_the_standard_normal_has() -> None:
    # All posteriors are N(m, C): so is their mean, and there is nothing to tell apart.
    mean, variance = torch.tensor([2.0, -1.0]), torch.tensor([0.25, 0.5])
    posterior = posterior_of(mean.expand(4000, 2), variance.log().expand(4000, 2))
    factor = variance.sqrt().diag()[None].numpy()
    fitted = Prior(2, Mixture(torch.ones(1).numpy(), mean[None].numpy(), factor))
    standard = kl_divergence(
        MultivariateNormal(mean, variance.diag()), MultivariateNormal(torch.zeros(2), torch.eye(2))
    )
    assert prior_gap(posterior, fitted, information=0.0) == pytest.approx(0, abs=0.05)
    assert prior_gap(posterior, Prior(2), information=0.0) == pytest.approx(float(standard), abs=1e-4)
