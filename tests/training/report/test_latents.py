import math
from statistics import NormalDist

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from training.export.prior import Mixture
from training.report.latents import (
    linear_path,
    manifold,
    mixture_latents,
    principal_plane,
    spherical_path,
    traversal,
)


def test_the_corners_of_the_manifold_are_the_inverse_normal_cdf_of_half_a_step() -> None:
    z = manifold(20).view(20, 20, 2)
    corner = NormalDist().inv_cdf(0.5 / 20)
    assert corner == pytest.approx(-1.959964, abs=1e-6)
    corners = {"top left": z[0, 0], "top right": z[0, -1], "bottom left": z[-1, 0], "bottom right": z[-1, -1]}
    signs = {"top left": (1, -1), "top right": (-1, -1), "bottom left": (1, 1), "bottom right": (-1, 1)}
    for name, (first, second) in signs.items():
        torch.testing.assert_close(corners[name], torch.tensor([first * corner, second * corner]), msg=name)


def test_steps_of_the_manifold_are_equally_likely_under_the_prior() -> None:
    z = manifold(7).view(7, 7, 2)
    probabilities = [NormalDist().cdf(value) for value in z[3, :, 0].tolist()]
    assert np.diff(probabilities) == pytest.approx([1 / 7] * 6, abs=1e-6)
    assert z[3, 3].tolist() == pytest.approx([0, 0], abs=1e-7)


def test_a_traversal_changes_its_unit_alone() -> None:
    z = torch.tensor([0.5, -1.0, 2.0])
    rows = traversal(z, unit=1, values=torch.tensor([-3.0, 0.0, 3.0]))
    assert rows.tolist() == [[0.5, -3.0, 2.0], [0.5, 0.0, 2.0], [0.5, 3.0, 2.0]]
    assert z.tolist() == [0.5, -1.0, 2.0]


def test_a_linear_path_has_equal_steps() -> None:
    path = linear_path(torch.tensor([0.0, 4.0]), torch.tensor([4.0, 0.0]), num_steps=5)
    assert path.tolist() == [[0, 4], [1, 3], [2, 2], [3, 1], [4, 0]]


def test_a_spherical_path_turns_by_equal_angles_at_a_constant_distance() -> None:
    path = spherical_path(torch.tensor([2.0, 0.0, 0.0]), torch.tensor([0.0, 2.0, 0.0]), num_steps=4)
    angles = [0, math.pi / 6, math.pi / 3, math.pi / 2]
    expected = [[2 * math.cos(angle), 2 * math.sin(angle), 0.0] for angle in angles]
    torch.testing.assert_close(path, torch.tensor(expected))


@pytest.mark.parametrize("end", [[2.0, 2.0], [-1.0, -1.0], [0.0, 0.0]])
def test_a_spherical_path_without_an_angle_is_the_straight_line(end: list[float]) -> None:
    start = torch.tensor([1.0, 1.0])
    path = spherical_path(start, torch.tensor(end), num_steps=3)
    torch.testing.assert_close(path[1], (start + torch.tensor(end)) / 2)


def test_latents_of_a_mixture_are_a_mean_and_its_factor_times_the_noise() -> None:
    factor = torch.tensor([[2.0, 0.0], [1.0, 3.0]])
    mixture = Mixture(
        weights=torch.tensor([0.0, 1.0]),
        means=torch.tensor([[100.0, 100.0], [5.0, -5.0]]),
        factors=torch.stack([torch.eye(2), factor]),
    )
    z = mixture_latents(mixture, torch.tensor([[1.0, 1.0], [0.0, 2.0]]), seed=0)
    assert z.tolist() == [[5 + 2, -5 + 1 + 3], [5, -5 + 6]]


def test_components_are_drawn_by_their_weights() -> None:
    mixture = Mixture(torch.tensor([0.25, 0.75]), torch.tensor([[0.0], [1.0]]), torch.zeros(2, 1, 1))
    z = mixture_latents(mixture, torch.zeros(10_000, 1), seed=3)
    assert float(z.mean()) == pytest.approx(0.75, abs=0.02)


def test_the_principal_plane_is_that_of_scikit_learn() -> None:
    generator = torch.Generator().manual_seed(0)
    mu = torch.randn(200, 5, generator=generator) * torch.tensor([3.0, 0.1, 2.0, 0.5, 0.2]) + 7
    points, shares = principal_plane(mu)
    pca = PCA(2)
    expected = pca.fit_transform(mu.numpy())
    np.testing.assert_allclose(shares, pca.explained_variance_ratio_, rtol=1e-4)
    np.testing.assert_allclose(points.abs().numpy(), np.abs(expected), atol=1e-3)
