"""What a score needs of a network, by hand for the tiny VAE."""

import numpy as np
import pytest
import torch

from service.scoring.likelihood import Likelihood
from service.scoring.measurement import fixed_signs, logits_of, logits_of_pixels, measure
from tests import tiny_vae
from tests.pictures import noise

IMAGES = np.stack([noise(8, 8, 3, seed) for seed in range(5)])
LIKELIHOOD = Likelihood("gaussian", 0.125)


def measured(
    module: torch.nn.Module, images: np.ndarray, likelihood: Likelihood = LIKELIHOOD
) -> list[np.ndarray]:
    with torch.inference_mode():
        outputs = measure(
            torch.from_numpy(images).permute(0, 3, 1, 2),
            encode=module.encode,
            decode_logits=logits_of(module),
            likelihood=likelihood,
            signs=fixed_signs(tiny_vae.LATENT_DIM),
        )
    return [output.numpy() for output in outputs]


def means(z: np.ndarray, *, is_rounded: bool) -> np.ndarray:
    """Means of pixels in [0, 1], (N, 8, 8, 3), by the formula of tests/tiny_vae.py."""
    if is_rounded:
        return tiny_vae.decoded(z) / 255
    quadrants = np.clip(128 + z[:, :, None] * np.array(tiny_vae.GAINS), 0, 255).reshape(-1, 2, 2, 3)
    return quadrants.repeat(4, axis=1).repeat(4, axis=2) / 255


@pytest.mark.parametrize("is_rounded", [True, False], ids=["pixels", "logits"])
def test_every_output_is_as_computed_by_hand(is_rounded: bool) -> None:
    module = tiny_vae.TinyVAE() if is_rounded else tiny_vae.LogitsVAE()
    distortion, mse, mu, log_var = measured(module, IMAGES)
    expected_mu = tiny_vae.encoded_mu(IMAGES)
    np.testing.assert_allclose(mu, expected_mu, atol=1e-5)
    np.testing.assert_array_equal(log_var, [tiny_vae.LOG_VAR] * len(IMAGES))
    x = IMAGES / 255
    # Of logits in float32, pixels beyond 0 and 1, and ties of rounding, a thousandth.
    expected_mse = np.square(x - means(expected_mu, is_rounded=is_rounded)).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(mse, expected_mse, rtol=1e-3)
    offset = np.exp(0.5 * np.array(tiny_vae.LOG_VAR)) * fixed_signs(4).numpy()
    costs = []
    for z in (expected_mu + offset, expected_mu - offset):
        squares = np.square(x - means(z.astype(np.float32), is_rounded=is_rounded)) / 0.125**2
        costs.append(0.5 * (squares + np.log(2 * np.pi * 0.125**2)).sum(axis=(1, 2, 3)))
    np.testing.assert_allclose(distortion, np.mean(costs, axis=0), rtol=1e-3)


def test_the_distortion_is_exact_where_it_is_quadratic_in_single_latents() -> None:
    # Pixels are linear in z and each quadrant has its own: E[(x - a - b z)^2] = (x - a - b mu)^2 + b^2 var.
    image = tiny_vae.decoded(np.array([[0.5, -0.5, 0.25, 0]], np.float32))
    distortion, _, mu, log_var = measured(tiny_vae.LogitsVAE(), image)
    gains = np.array(tiny_vae.GAINS) / 255
    errors = np.square(image / 255 - means(mu, is_rounded=False)).sum()
    spread = 16 * np.square(gains).sum() * np.exp(log_var).sum()
    expected = 0.5 * ((errors + spread) / 0.125**2 + image.size * np.log(2 * np.pi * 0.125**2))
    np.testing.assert_allclose(distortion, [expected], rtol=1e-4)


def test_logits_of_pixels_are_those_of_the_pixels_but_for_their_rounding() -> None:
    every_level = torch.arange(256, dtype=torch.uint8)
    found = torch.sigmoid(logits_of_pixels(lambda z: every_level)(torch.zeros(1))) * 255
    torch.testing.assert_close(found[1:-1], torch.arange(1.0, 255.0), rtol=0, atol=1e-3)
    assert found[0].item() == pytest.approx(0.25, abs=1e-3)
    assert found[-1].item() == pytest.approx(254.75, abs=1e-3)


def test_signs_are_signs_and_as_many_of_each_and_the_first_ones_stay() -> None:
    signs = fixed_signs(1000)
    assert set(signs.tolist()) == {-1.0, 1.0}
    assert abs(signs.mean().item()) < 5 / 1000**0.5
    assert fixed_signs(10).tolist() == signs[:10].tolist()
