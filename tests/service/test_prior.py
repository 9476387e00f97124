"""A fitted prior: read from the file and checked, drawn as its density says, each row by itself."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import checkpoint
from service.description import describe
from service.errors import InvalidCheckpoint
from service.prior import Mixture
from tests import tiny_vae

NUM_DRAWS = 20_000
SIGMAS = 5  # of a standard error; passed once in two million


@pytest.fixture(scope="module")
def mixture() -> Mixture:
    return Mixture(tiny_vae.PRIOR_WEIGHTS, tiny_vae.PRIOR_MEANS, tiny_vae.PRIOR_FACTORS)


@pytest.fixture(scope="module")
def draws(mixture: Mixture) -> tuple[np.ndarray, np.ndarray]:
    """Latents, and the component of each."""
    random = np.random.default_rng(0)
    uniform = random.random(NUM_DRAWS)
    z = mixture.place(random.standard_normal((NUM_DRAWS, 4), np.float32), uniform)
    return z.astype(np.float64), (uniform >= 0.5).astype(int) + (uniform >= 0.625)


def changed(array: np.ndarray, index: tuple[int, ...], value: float) -> np.ndarray:
    copy = array.copy()
    copy[index] = value
    return copy


def test_the_mixture_of_a_checkpoint_is_loaded(tmp_path: Path) -> None:
    path = tiny_vae.save(tmp_path / "model.pt", module=tiny_vae.FittedVAE(), prior="fitted")
    prior = checkpoint.load(path).prior
    assert prior is not None
    np.testing.assert_array_equal(prior.weights, tiny_vae.PRIOR_WEIGHTS)
    np.testing.assert_array_equal(prior.means, tiny_vae.PRIOR_MEANS)
    np.testing.assert_array_equal(prior.factors, tiny_vae.PRIOR_FACTORS)
    assert describe(path).refusal is None


def test_a_standard_prior_is_none_whatever_else_the_module_holds(tmp_path: Path) -> None:
    path = tiny_vae.save(tmp_path / "model.pt", module=tiny_vae.FittedVAE(weights=None))
    assert checkpoint.load(path).prior is None


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        ("weights", None, "is not there, though metadata.prior is fitted"),
        ("means", None, "is not there"),
        ("factors", None, "is not there"),
        ("weights", tiny_vae.PRIOR_WEIGHTS.astype(np.float64), r"float64 \(3,\), expected float32 \(K\)"),
        ("weights", tiny_vae.PRIOR_MEANS, r"float32 \(3, 4\), expected float32 \(K\)"),
        ("weights", np.zeros(0, np.float32), r"\(0,\)"),
        ("means", tiny_vae.PRIOR_MEANS[:2], r"shape \(2, 4\), expected \(3, 4\)"),
        ("means", np.zeros((3, 5), np.float32), r"shape \(3, 5\), expected \(3, 4\)"),
        ("factors", tiny_vae.PRIOR_FACTORS[:2], r"shape \(2, 4, 4\), expected \(3, 4, 4\)"),
        ("factors", tiny_vae.PRIOR_MEANS, r"expected float32 \(K, D, D\)"),
        ("weights", changed(tiny_vae.PRIOR_WEIGHTS, (0,), np.nan), "finite"),
        ("means", changed(tiny_vae.PRIOR_MEANS, (0, 0), np.inf), "finite"),
        ("factors", changed(tiny_vae.PRIOR_FACTORS, (2, 3, 0), -np.inf), "finite"),
        ("weights", np.array([0.5, 0.25, 0.375], np.float32), "sum to 1, they sum to 1.125"),
        ("weights", np.array([1.5, -0.25, -0.25], np.float32), "at least 0"),
        ("factors", changed(tiny_vae.PRIOR_FACTORS, (0, 1, 2), 0.1), "lower triangular"),
        ("factors", changed(tiny_vae.PRIOR_FACTORS, (1, 2, 2), 0), "positive diagonal"),
        ("factors", changed(tiny_vae.PRIOR_FACTORS, (1, 2, 2), -1), "positive diagonal"),
    ],
)
def test_a_buffer_that_is_wrong_is_named(
    tmp_path: Path, name: str, array: np.ndarray | None, words: str
) -> None:
    module = tiny_vae.FittedVAE(**{name: array})
    path = tiny_vae.save(tmp_path / "model.pt", module=module, prior="fitted")
    with pytest.raises(InvalidCheckpoint, match=words) as caught:
        checkpoint.load(path)
    assert caught.value.field == f"module.prior_{name}"
    refusal = describe(path).refusal
    assert str(refusal) == str(caught.value)


def test_each_component_is_drawn_as_often_as_its_weight_says(
    mixture: Mixture, draws: tuple[np.ndarray, np.ndarray]
) -> None:
    z, components = draws
    for k, weight in enumerate(tiny_vae.PRIOR_WEIGHTS):
        error = np.sqrt(weight * (1 - weight) / NUM_DRAWS)
        assert abs((components == k).mean() - weight) < SIGMAS * error
        # And it is this component that was drawn: what is left of a draw without it has unit variance.
        own = z[components == k]
        noise = np.linalg.solve(mixture.factors[k].astype(float), (own - mixture.means[k]).T)
        assert np.abs(noise.mean(axis=1)).max() < SIGMAS / np.sqrt(len(own))
        assert np.abs(noise.var(axis=1) - 1).max() < SIGMAS * np.sqrt(2 / len(own))


def test_draws_have_the_mean_and_covariance_of_the_mixture(draws: tuple[np.ndarray, np.ndarray]) -> None:
    weights, means, factors = (
        array.astype(np.float64)
        for array in (tiny_vae.PRIOR_WEIGHTS, tiny_vae.PRIOR_MEANS, tiny_vae.PRIOR_FACTORS)
    )
    mean = weights @ means
    second = np.einsum("k,kij->ij", weights, factors @ factors.swapaxes(1, 2))
    covariance = second + np.einsum("k,ki,kj->ij", weights, means, means) - np.outer(mean, mean)
    z, _ = draws
    centred = z - mean
    products = centred[:, :, None] * centred[:, None, :]
    assert (np.abs(centred.mean(axis=0)) < SIGMAS * z.std(axis=0) / np.sqrt(NUM_DRAWS)).all()
    errors = products.std(axis=0) / np.sqrt(NUM_DRAWS)
    assert (np.abs(products.mean(axis=0) - covariance) < SIGMAS * errors).all()


@given(temperature=st.floats(0, 2), seed=st.integers(0, 99))
def test_one_component_is_an_affine_map_of_the_noise(temperature: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    noise = random.standard_normal((5, 4), np.float32)
    one = Mixture(np.ones(1, np.float32), tiny_vae.PRIOR_MEANS[1:2], tiny_vae.PRIOR_FACTORS[1:2])
    z = one.place(noise, random.random(5), temperature=temperature)
    expected = tiny_vae.PRIOR_MEANS[1] + temperature * noise.astype(float) @ tiny_vae.PRIOR_FACTORS[1].T
    np.testing.assert_allclose(z, expected, atol=1e-5)


def test_the_standard_normal_as_a_mixture_leaves_noise_as_it_is() -> None:
    noise = np.random.default_rng(0).standard_normal((7, 4), np.float32)
    one = Mixture(np.ones(1, np.float32), np.zeros((1, 4), np.float32), np.eye(4, dtype=np.float32)[None])
    np.testing.assert_array_equal(one.place(noise, np.full(7, 0.5)), noise)


def test_at_temperature_0_draws_are_the_means(mixture: Mixture) -> None:
    uniform = np.array([1e-9, 0.4999, 0.5001, 0.6249, 0.6251, 1 - 1e-9])
    z = mixture.place(np.full((6, 4), 3, np.float32), uniform, temperature=0)
    np.testing.assert_array_equal(z, tiny_vae.PRIOR_MEANS[[0, 0, 1, 1, 2, 2]])


def test_a_component_of_weight_0_is_never_drawn(mixture: Mixture) -> None:
    weights = np.array([0, 1, 0], np.float32)
    rare = Mixture(weights, mixture.means, mixture.factors)
    z = rare.place(np.zeros((3, 4), np.float32), np.array([1e-17, 0.5, 1 - 1e-16]))
    np.testing.assert_array_equal(z, tiny_vae.PRIOR_MEANS[[1, 1, 1]])


@pytest.mark.parametrize("latent_dim", [1, 3, 10, 64, 129])
def test_a_row_has_the_same_bits_whatever_is_drawn_beside_it(latent_dim: int) -> None:
    random = np.random.default_rng(latent_dim)
    factors = np.tril(random.normal(size=(4, latent_dim, latent_dim))).astype(np.float32)
    means = random.normal(size=(4, latent_dim)).astype(np.float32)
    mixture = Mixture(np.full(4, 0.25, np.float32), means, factors)
    noise = random.standard_normal((40, latent_dim), np.float32)
    uniform = random.random(40)
    together = mixture.place(noise, uniform)
    for row in range(40):
        alone = mixture.place(noise[row : row + 1].copy(), uniform[row : row + 1])
        np.testing.assert_array_equal(alone[0], together[row])
