"""The figures of a score against torch.distributions and by hand, each row by itself."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from service.prior import Mixture, log_density
from service.scoring.figures import SURPRISES, figures
from tests import tiny_vae
from tests.pictures import noise

MIXTURE = Mixture(tiny_vae.PRIOR_WEIGHTS, tiny_vae.PRIOR_MEANS, tiny_vae.PRIOR_FACTORS)


def measured(num: int, latent_dim: int = 4, seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    distortion, mse = random.normal(size=num), random.random(num) / 100
    mu, log_var = random.normal(size=(2, num, latent_dim))
    return [array.astype(np.float32) for array in (distortion, mse, mu, log_var)]


def pictures(num: int, height: int = 8, width: int = 8, channels: int = 3) -> np.ndarray:
    return np.stack([noise(height, width, channels, seed) for seed in range(num)])


def test_the_bound_is_made_of_distortion_and_rate() -> None:
    distortion, mse, mu, log_var = measured(6)
    found = figures(pictures(6), [distortion, mse, mu, log_var], None)
    posterior = torch.distributions.Normal(torch.tensor(mu), torch.tensor(log_var).mul(0.5).exp())
    rate = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).sum(1).numpy()
    np.testing.assert_allclose(found["rate"], rate, rtol=1e-5)
    np.testing.assert_allclose(found["elbo"], -distortion - rate, rtol=1e-5)
    np.testing.assert_array_equal(found["mse"], mse.astype(float))


@pytest.mark.parametrize("mixture", [None, MIXTURE], ids=["standard", "fitted"])
def test_the_latent_figure_is_the_density_of_mu_under_the_prior(mixture: Mixture | None) -> None:
    outputs = measured(6)
    density = np.zeros(6)
    if mixture is None:
        density = multivariate_normal.pdf(outputs[2], np.zeros(4), np.eye(4))
    for k in range(3) if mixture else ():
        factor = mixture.factors[k].astype(float)
        component = multivariate_normal(mixture.means[k], factor @ factor.T)
        density += mixture.weights[k] * component.pdf(outputs[2])
    np.testing.assert_allclose(figures(pictures(6), outputs, mixture)["latent"], -np.log(density), rtol=1e-6)


def test_a_component_without_weight_adds_no_density() -> None:
    rare = Mixture(np.array([1, 0, 0], np.float32), MIXTURE.means, MIXTURE.factors)
    only = Mixture(np.ones(1, np.float32), MIXTURE.means[:1], MIXTURE.factors[:1])
    z = np.random.default_rng(0).normal(size=(5, 4))
    np.testing.assert_allclose(log_density(z, rare), log_density(z, only), rtol=1e-12)


def test_of_white_noise_contrast_and_texture_are_its_variance() -> None:
    image = pictures(1, 64, 64, 3)
    outputs = measured(1)
    outputs[1][:] = 0.01
    found = figures(image, outputs, None)
    variance = (255**2 + 2 * 255) / 12 / 255**2  # of the whole numbers from 0 to 255, in units of 255
    for name in ("contrast", "texture"):
        assert found[name][0] == pytest.approx(np.log(0.01 / variance), abs=0.05)


def test_a_ramp_has_contrast_and_hardly_any_texture() -> None:
    ramp = np.broadcast_to(np.arange(64, dtype=np.uint8)[None, None, :, None], (1, 64, 64, 1)).copy()
    outputs = measured(1)
    rounding = 1 / 12 / 255**2
    outputs[1][:] = rounding
    found = figures(ramp, outputs, None)
    variance = (64**2 - 1) / 12 / 255**2
    # Half of the differences are a level, half are none: a quarter of a squared level.
    texture = 0.25 / 255**2
    assert found["contrast"][0] == pytest.approx(np.log(2 * rounding / (variance + rounding)), rel=1e-3)
    assert found["texture"][0] == pytest.approx(np.log(2 * rounding / (texture + rounding)), rel=1e-3)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 5, 3), (7, 1, 1)])
def test_flat_and_tiny_pictures_have_finite_figures(shape: tuple[int, int, int]) -> None:
    outputs = measured(2)
    outputs[1][:] = 0
    for level in (0, 128, 255):
        found = figures(np.full((2, *shape), level, np.uint8), outputs, MIXTURE)
        for name in SURPRISES:
            assert np.isfinite(found[name]).all()


@pytest.mark.parametrize("shape", [(8, 8, 3), (28, 28, 1), (64, 64, 3)])
@pytest.mark.parametrize("is_fitted", [True, False])
def test_a_row_has_the_same_bits_whatever_stands_beside_it(
    shape: tuple[int, int, int], is_fitted: bool
) -> None:
    random = np.random.default_rng(1)
    latent_dim = 70
    factors = np.tril(random.normal(size=(3, latent_dim, latent_dim)), -1) + np.eye(latent_dim)
    means = random.normal(size=(3, latent_dim)).astype(np.float32)
    mixture = Mixture(np.full(3, 1 / 3, np.float32), means, factors.astype(np.float32)) if is_fitted else None
    images, outputs = pictures(17, *shape), measured(17, latent_dim)
    together = figures(images, outputs, mixture)
    for row in range(17):
        alone = figures(
            images[row : row + 1].copy(), [part[row : row + 1].copy() for part in outputs], mixture
        )
        for name, values in together.items():
            assert alone[name][0] == values[row], name
