"""Latents of a seed: noise itself under the standard prior, placed noise under a fitted one."""

import numpy as np
import pytest

from service.prior import Mixture
from service.vae.noise import draw_choices, draw_noise
from service.vae.sampling import draw_latents
from tests import tiny_vae

MIXTURE = Mixture(tiny_vae.PRIOR_WEIGHTS, tiny_vae.PRIOR_MEANS, tiny_vae.PRIOR_FACTORS)


@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.0, 2.0])
def test_under_the_standard_prior_latents_are_scaled_noise(temperature: float) -> None:
    z = draw_latents(None, 4, seed=7, num=5, temperature=temperature)
    np.testing.assert_array_equal(z, draw_noise(7, 5, 4) * np.float32(temperature))


def test_under_a_fitted_prior_each_row_is_placed_by_its_own_choice() -> None:
    z = draw_latents(MIXTURE, 4, seed=7, num=9, temperature=0.5)
    rows = zip(draw_noise(7, 9, 4), draw_choices(7, 9, 4), strict=True)
    for row, (noise, choice) in zip(z, rows, strict=True):
        k = 0 if choice < 0.5 else 1 if choice < 0.625 else 2
        expected = tiny_vae.PRIOR_MEANS[k] + 0.5 * tiny_vae.PRIOR_FACTORS[k].astype(float) @ noise
        np.testing.assert_allclose(row, expected, atol=1e-6)


@pytest.mark.parametrize("mixture", [None, MIXTURE], ids=["standard", "fitted"])
def test_the_first_rows_do_not_depend_on_how_many_are_drawn(mixture: Mixture | None) -> None:
    few, many = (draw_latents(mixture, 4, seed=3, num=num) for num in (3, 64))
    np.testing.assert_array_equal(few, many[:3])
