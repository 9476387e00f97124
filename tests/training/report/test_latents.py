from statistics import NormalDist

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from training.report.latents import manifold, principal_plane, traversal


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


def test_the_principal_plane_is_that_of_scikit_learn() -> None:
    generator = torch.Generator().manual_seed(0)
    mu = torch.randn(200, 5, generator=generator) * torch.tensor([3.0, 0.1, 2.0, 0.5, 0.2]) + 7
    points, shares = principal_plane(mu)
    pca = PCA(2)
    expected = pca.fit_transform(mu.numpy())
    np.testing.assert_allclose(shares, pca.explained_variance_ratio_, rtol=1e-4)
    np.testing.assert_allclose(points.abs().numpy(), np.abs(expected), atol=1e-3)
