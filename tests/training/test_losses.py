import math

import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from training.losses import (
    active_units,
    gaussian_kl,
    importance_weighted_nll,
    log_weights,
    unit_kl,
    with_free_bits,
)


def test_kl_is_that_of_torch_distributions() -> None:
    mu, log_var = torch.randn(2, 7, 11, generator=torch.Generator().manual_seed(0)).unbind()
    posterior = Independent(Normal(mu, torch.exp(log_var / 2)), 1)
    prior = Independent(Normal(torch.zeros(7, 11), torch.ones(7, 11)), 1)
    torch.testing.assert_close(gaussian_kl(mu, log_var), kl_divergence(posterior, prior))


def test_kl_of_the_prior_itself_is_zero() -> None:
    assert gaussian_kl(torch.zeros(2, 4), torch.zeros(2, 4)).tolist() == [0, 0]


def test_kl_of_a_shifted_unit_gaussian_is_half_the_squared_distance() -> None:
    assert gaussian_kl(torch.tensor([[3.0, 4.0]]), torch.zeros(1, 2)).tolist() == [12.5]


def test_the_kl_of_the_units_adds_up_to_that_of_the_image() -> None:
    mu, log_var = torch.randn(2, 7, 11, generator=torch.Generator().manual_seed(0)).unbind()
    torch.testing.assert_close(unit_kl(mu, log_var).sum(dim=1), gaussian_kl(mu, log_var))


def test_free_bits_replace_what_a_unit_spends_less_on_average() -> None:
    kl = torch.tensor([[0.1, 2.0, 0.0], [0.3, 4.0, 0.0]])
    assert with_free_bits(kl, 0.0).item() == pytest.approx(0.2 + 3.0)
    assert with_free_bits(kl, 0.5).item() == pytest.approx(0.5 + 3.0 + 0.5)


def test_log_weights_are_those_of_torch_distributions() -> None:
    generator = torch.Generator().manual_seed(0)
    mu, log_var, distortion = (torch.randn(*shape, generator=generator) for shape in ((5, 3), (5, 3), (7, 5)))
    noise = torch.randn(7, 5, 3, generator=generator)
    z = mu + torch.exp(log_var / 2) * noise
    prior = Independent(Normal(torch.zeros(3), torch.ones(3)), 1)
    posterior = Independent(Normal(mu, torch.exp(log_var / 2)), 1)
    expected = prior.log_prob(z) - posterior.log_prob(z) - distortion
    torch.testing.assert_close(log_weights(distortion, log_var, z=z, noise=noise), expected)


def test_the_importance_weighted_bound_reaches_a_likelihood_known_in_closed_form() -> None:
    # z ~ N(0, 1), x | z ~ N(a z, s^2), so x ~ N(0, a^2 + s^2); q is a little off the posterior.
    a, s, x = 1.5, 0.4, torch.tensor([[0.7], [-2.0]], dtype=torch.float64)
    exact = -Normal(0, math.sqrt(a**2 + s**2)).log_prob(x)[:, 0]
    variance = 1 / (1 + a**2 / s**2)
    mu, log_var = variance * a / s**2 * x + 0.1, torch.full_like(x, math.log(1.5 * variance))
    noise = torch.randn(200_000, 2, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z = mu + torch.exp(log_var / 2) * noise
    distortion = -Normal(a * z, s).log_prob(x)[..., 0]
    weights = log_weights(distortion, log_var, z=z, noise=noise)
    torch.testing.assert_close(importance_weighted_nll(weights), exact, atol=2e-3, rtol=0)
    one_sample = -weights.mean(dim=0)  # the negative ELBO
    assert (one_sample > exact + 0.01).all()


def test_units_whose_mean_has_a_variance_above_a_hundredth_are_active() -> None:
    generator = torch.Generator().manual_seed(0)
    planted = torch.tensor([0.0, 0.09, 0.11, 3.0])  # squared: 0, 0.0081, 0.0121, 9
    mu = torch.randn(20_000, 4, generator=generator) * planted + torch.tensor([5.0, 0, 0, -2])
    assert active_units(mu).tolist() == [False, False, True, True]
