import numpy as np
import pytest
import scipy.linalg
import torch

from training.evaluate.frechet import frechet_distance


def test_it_is_the_formula_with_scipys_square_root_of_a_matrix() -> None:
    generator = np.random.default_rng(0)
    first = generator.normal(size=(500, 6)) @ generator.normal(size=(6, 6)) + 3
    second = generator.normal(size=(400, 6)) @ generator.normal(size=(6, 6))
    c1, c2 = np.cov(first.T), np.cov(second.T)
    shift = np.sum((first.mean(axis=0) - second.mean(axis=0)) ** 2)
    expected = shift + np.trace(c1 + c2 - 2 * scipy.linalg.sqrtm(c1 @ c2).real)
    assert frechet_distance(torch.from_numpy(first), torch.from_numpy(second)) == pytest.approx(expected)


def test_planted_gaussians_come_near_their_closed_form() -> None:
    # Diagonal covariances: |m|^2 + sum (s1 - s2)^2.
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(200_000, 3, generator=generator) * torch.tensor([1.0, 2.0, 3.0])
    second = torch.randn(200_000, 3, generator=generator) * torch.tensor([2.0, 2.0, 1.0]) + 1
    assert frechet_distance(first, second) == pytest.approx(3 + 1 + 0 + 4, rel=0.02)


def test_equal_sets_have_no_distance_even_where_a_feature_never_changes() -> None:
    features = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    features[:, 2] = 1
    assert frechet_distance(features, features) == pytest.approx(0, abs=1e-9)
