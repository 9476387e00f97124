"""Ways between two latents: against the formula, and where there is no angle."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation, Slerp

from service.interpolation import Mode, interpolate
from service.vae.noise import draw_noise


@pytest.mark.parametrize("mode", ["slerp", "linear"])
@pytest.mark.parametrize("num_steps", [2, 3, 8, 64])
def test_the_ends_are_what_was_given_to_the_last_bit(mode: Mode, num_steps: int) -> None:
    start, end = draw_noise(1, 2, 128)
    z, taken = interpolate(start, end, num_steps=num_steps, mode=mode)
    assert taken == mode
    assert z.shape == (num_steps, 128)
    assert z.dtype == np.float32
    np.testing.assert_array_equal(z[0], start)
    np.testing.assert_array_equal(z[-1], end)


def test_the_straight_way_has_equal_steps() -> None:
    start, end = draw_noise(1, 2, 7)
    z, _ = interpolate(start, end, num_steps=5, mode="linear")
    np.testing.assert_allclose(np.diff(z, axis=0), np.broadcast_to((end - start) / 4, (4, 7)), atol=1e-6)


def test_unit_vectors_turn_as_rotations_do() -> None:
    start = np.array([1, 0, 0], np.float32)
    end = np.array([np.cos(2), np.sin(2), 0], np.float32)
    z, _ = interpolate(start, end, num_steps=9, mode="slerp")
    turns = Slerp([0, 1], Rotation.from_euler("z", [[0], [2]]))(np.linspace(0, 1, 9))
    np.testing.assert_allclose(z, turns.apply([1.0, 0, 0]), atol=1e-6)


@given(seed=st.integers(0, 999), latent_dim=st.integers(2, 40), num_steps=st.integers(3, 9))
def test_turning_keeps_the_length_of_ends_as_long_as_each_other(
    seed: int, latent_dim: int, num_steps: int
) -> None:
    start, end = (row / np.linalg.norm(row) for row in draw_noise(seed, 2, latent_dim))
    z, mode = interpolate(start, end, num_steps=num_steps, mode="slerp")
    if mode == "slerp":
        np.testing.assert_allclose(np.linalg.norm(z, axis=1), 1, atol=1e-4)
        cosines = (z[:-1] * z[1:]).sum(axis=1)
        np.testing.assert_allclose(cosines, cosines[0], atol=1e-4)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ([0, 0, 0], [1, 2, 3]),
        ([1, 2, 3], [0, 0, 0]),
        ([0, 0, 0], [0, 0, 0]),
        ([1, 2, 3], [1, 2, 3]),
        ([1, 2, 3], [2, 4, 6]),
        ([1, 2, 3], [-1, -2, -3]),
        ([1, 2, 3], [-3, -6, -9]),
        ([1, 0, 0], [1, 1e-8, 0]),
        ([1e-30, 0, 0], [0, 0, 0]),
        ([3e38, 0, 0], [-3e38, 0, 0]),
    ],
)
def test_without_an_angle_the_way_is_straight(start: list[float], end: list[float]) -> None:
    first, last = np.array(start, np.float32), np.array(end, np.float32)
    z, mode = interpolate(first, last, num_steps=5, mode="slerp")
    assert mode == "linear"
    share = np.linspace(0, 1, 5)[:, None]
    expected = (1 - share) * first.astype(float) + share * last.astype(float)
    np.testing.assert_allclose(z, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e18])
def test_turning_does_not_depend_on_how_long_the_ends_are(scale: float) -> None:
    start, end = draw_noise(3, 2, 10)
    z, _ = interpolate(start, end, num_steps=6, mode="slerp")
    scaled, mode = interpolate(
        (start * scale).astype(np.float32), (end * scale).astype(np.float32), num_steps=6, mode="slerp"
    )
    assert mode == "slerp"
    np.testing.assert_allclose(scaled / scale, z, rtol=1e-4, atol=1e-5)
