"""Noise against the published Philox vectors, a second implementation, and the statistics of a normal."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.vae.noise import MAX_SEED, draw_choices, draw_noise

WORD = 2**64
# Random123's kat_vectors file, "philox4x64 10": counter, key, result.
KNOWN_ANSWERS = [
    ((0, 0, 0, 0), (0, 0), (0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B)),
    (
        (WORD - 1,) * 4,
        (WORD - 1,) * 2,
        (0x87B092C3013FE90B, 0x438C3C67BE8D0224, 0x9CC7D7C69CD777B6, 0xA09CAEBF594F0BA0),
    ),
]


def philox(counter: tuple[int, ...], key: tuple[int, int]) -> tuple[int, ...]:
    """Philox 4x64-10 by Salmon et al., 2011, in whole numbers of Python."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        high0, low0 = divmod(0xD2E7470EE14C6C93 * c0, WORD)
        high1, low1 = divmod(0xCA5A826395121157 * c2, WORD)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) % WORD, (k1 + 0xBB67AE8584CAA73B) % WORD
    return c0, c1, c2, c3


@pytest.mark.parametrize(("counter", "key", "result"), KNOWN_ANSWERS)
def test_the_second_implementation_gives_the_published_vectors(
    counter: tuple[int, ...], key: tuple[int, int], result: tuple[int, ...]
) -> None:
    assert philox(counter, key) == result


@pytest.mark.parametrize("seed", [0, 1, 42, 2**63, MAX_SEED])
@pytest.mark.parametrize("index", [0, 1, 63])
def test_a_row_is_box_and_muller_of_the_philox_stream_of_its_seed_and_index(seed: int, index: int) -> None:
    # numpy adds one to the counter before each block of four words.
    words = [*philox((1, 0, index, 0), (seed, 0)), *philox((2, 0, index, 0), (seed, 0))]
    uniform = [((word >> 11) + 0.5) / 2**53 for word in words[:6]]
    radii = [math.sqrt(-2 * math.log(u)) for u in uniform[:3]]
    angles = [2 * math.pi * u for u in uniform[3:]]
    cosines = [r * math.cos(a) for r, a in zip(radii, angles, strict=True)]
    sines = [r * math.sin(a) for r, a in zip(radii, angles, strict=True)]

    row = draw_noise(seed, index + 1, 6)[index]

    np.testing.assert_allclose(row, [*cosines, *sines], rtol=2e-7)


@pytest.mark.parametrize("index", [0, 1, 63])
@pytest.mark.parametrize(("latent_dim", "position"), [(1, 2), (2, 2), (3, 4), (6, 6), (7, 8)])
def test_a_choice_is_the_word_after_those_of_the_noise(index: int, latent_dim: int, position: int) -> None:
    words = [word for block in (1, 2, 3) for word in philox((block, 0, index, 0), (42, 0))]
    expected = ((words[position] >> 11) + 0.5) / 2**53
    assert draw_choices(42, index + 1, latent_dim)[index] == expected


def test_choices_are_uniform_and_tell_nothing_of_the_noise() -> None:
    count = 5000
    choices = draw_choices(3, count, 4)
    # Kolmogorov and Smirnov, as below.
    steps = (np.arange(count) + 0.5) / count
    assert math.sqrt(count) * np.abs(np.sort(choices) - steps).max() < 1.95
    noise = draw_noise(3, count, 4).astype(np.float64)
    centred = (choices - 0.5) * math.sqrt(12)
    for other in (*noise.T, *(noise.T**2 - 1) / math.sqrt(2), np.roll(centred, 1)):
        assert abs((centred * other).mean()) < 5 / math.sqrt(count)


@given(seed=st.integers(0, MAX_SEED), num=st.integers(1, 8), latent_dim=st.integers(1, 9))
def test_the_first_rows_do_not_depend_on_how_many_are_drawn(seed: int, num: int, latent_dim: int) -> None:
    np.testing.assert_array_equal(
        draw_noise(seed, num, latent_dim), draw_noise(seed, num + 5, latent_dim)[:num]
    )
    np.testing.assert_array_equal(
        draw_choices(seed, num, latent_dim), draw_choices(seed, num + 5, latent_dim)[:num]
    )


@given(seed=st.integers(0, MAX_SEED), latent_dim=st.integers(1, 9))
def test_noise_is_finite_float32_of_the_shape_asked_for(seed: int, latent_dim: int) -> None:
    noise = draw_noise(seed, 3, latent_dim)
    assert noise.shape == (3, latent_dim)
    assert noise.dtype == np.float32
    assert np.isfinite(noise).all()


def test_noise_has_the_moments_of_a_standard_normal() -> None:
    noise = draw_noise(1265, 2000, 128).astype(np.float64).ravel()
    count = noise.size
    # Standard errors of the moments of a normal: sqrt(1, 2, 6, 24) / sqrt(count); five of them are allowed.
    assert abs(noise.mean()) < 5 * math.sqrt(1 / count)
    assert abs(noise.var() - 1) < 5 * math.sqrt(2 / count)
    assert abs((noise**3).mean()) < 5 * math.sqrt(15 / count)
    assert abs((noise**4).mean() - 3) < 5 * math.sqrt(96 / count)


def test_noise_follows_the_normal_distribution_function() -> None:
    noise = np.sort(draw_noise(7, 1000, 64).astype(np.float64).ravel())
    expected = np.array([0.5 * (1 + math.erf(x / math.sqrt(2))) for x in noise])
    found = (np.arange(noise.size) + 0.5) / noise.size
    # Kolmogorov and Smirnov: sqrt(n) D exceeds 1.95 once in a thousand samples.
    assert math.sqrt(noise.size) * np.abs(found - expected).max() < 1.95


@pytest.mark.parametrize("other", ["dimension", "image", "seed"])
def test_neighbouring_numbers_are_not_correlated(other: str) -> None:
    noise = draw_noise(3, 512, 128).astype(np.float64)
    pairs = {
        "dimension": (noise[:, :-1], noise[:, 1:]),
        "image": (noise[:-1], noise[1:]),
        "seed": (noise, draw_noise(4, 512, 128).astype(np.float64)),
    }
    first, second = (part.ravel() for part in pairs[other])
    correlation = float((first * second).mean())
    assert abs(correlation) < 5 / math.sqrt(first.size)


def test_the_cosine_and_the_sine_of_one_radius_are_not_correlated() -> None:
    noise = draw_noise(11, 2000, 64).astype(np.float64)
    products = noise[:, :32] * noise[:, 32:]
    assert abs(products.mean()) < 5 / math.sqrt(products.size)


def test_the_least_and_the_greatest_seed_differ_in_every_number() -> None:
    assert (draw_noise(0, 8, 16) != draw_noise(MAX_SEED, 8, 16)).all()
