import math

import pytest
import torch
from torch import Tensor

from training.evaluate.sliced_wasserstein import (
    enlarged,
    image_distance,
    laplacian_pyramid,
    pyramid_patches,
    sliced_wasserstein,
)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def pictures(num: int, *, seed: int, side: int = 28) -> Tensor:
    return ((noise(num, 3, side, side, seed=seed) * 40) + 128).clamp(0, 255).to(torch.uint8)


def test_equal_sets_have_no_distance() -> None:
    points = noise(1000, 5)
    assert sliced_wasserstein(points, points[torch.randperm(1000)], num_directions=50, seed=0) == (
        pytest.approx(0, abs=1e-6)
    )
    images = pictures(20, seed=0)
    assert image_distance(images, images, num_patches=2000, seed=0) == 0


def test_a_shifted_gaussian_is_as_far_as_random_directions_see_it() -> None:
    # W1 along u is |u . d|, whose mean over the sphere is |d| Gamma(F / 2) / (sqrt(pi) Gamma((F + 1) / 2)).
    shift = torch.tensor([3.0, 0.0, -4.0, 0.0])
    expected = 5 * math.gamma(2) / (math.sqrt(math.pi) * math.gamma(2.5))
    distance = sliced_wasserstein(
        noise(5000, 4, seed=1), noise(5000, 4, seed=2) + shift, num_directions=1000, seed=0
    )
    assert distance == pytest.approx(expected, rel=0.05)


def test_a_scaled_gaussian_is_as_far_as_its_deviations_differ() -> None:
    # Along any direction N(0, 1) and N(0, s^2): W1 = |s - 1| E|z| = |s - 1| sqrt(2 / pi).
    distance = sliced_wasserstein(
        noise(50_000, 3, seed=1), 1.5 * noise(50_000, 3, seed=2), num_directions=100, seed=0
    )
    assert distance == pytest.approx(0.5 * math.sqrt(2 / math.pi), rel=0.03)


@pytest.mark.parametrize(("side", "sides"), [(8, [8]), (28, [28, 14]), (64, [64, 32, 16]), (45, [45, 23])])
def test_the_levels_of_the_pyramid_add_up_to_the_images(side: int, sides: list[int]) -> None:
    images = noise(2, 3, side, side)
    levels = laplacian_pyramid(images)
    assert [level.shape[2] for level in levels] == sides
    whole = levels[-1]
    for level in levels[-2::-1]:
        whole = level + enlarged(whole, level.shape[2:])
    torch.testing.assert_close(whole, images)


def test_patches_are_cut_from_the_images() -> None:
    image = torch.arange(100, dtype=torch.uint8).view(1, 1, 10, 10)
    (patches,) = pyramid_patches(image, num_patches=2000, seed=0)
    corners = (patches[:, 0, 0] * 255).round().long()
    grid = torch.arange(7)[:, None] * 10 + torch.arange(7)
    assert set((corners // 10).tolist()) == set((corners % 10).tolist()) == {0, 1, 2, 3}
    expected = corners[:, None] + grid.flatten()
    assert torch.equal((patches[:, 0] * 255).round().long(), expected)


def test_blurred_darker_and_noisier_images_are_farther_than_others_of_the_same_kind() -> None:
    real, same = pictures(40, seed=0), pictures(40, seed=1)
    blurred = torch.nn.functional.avg_pool2d(same.float(), 3, stride=1, padding=1).to(torch.uint8)
    near = image_distance(real, same, num_patches=4000, seed=0)
    for other in (blurred, same // 2, (same.float() * 1.5 - 64).clamp(0, 255).to(torch.uint8)):
        assert image_distance(real, other, num_patches=4000, seed=0) > 3 * near
