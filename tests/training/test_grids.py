import pytest
import torch
from torchvision.utils import make_grid

from training.grids import image_grid, paired_rows, without_alpha


def images(num: int, *, channels: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (num, channels, 5, 4), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("num", [4, 8, 13])
def test_a_grid_is_that_of_torchvision(num: int) -> None:
    expected = make_grid(images(num), nrow=4, padding=2, pad_value=128)
    torch.testing.assert_close(image_grid(images(num), columns=4), expected)


def test_a_grid_of_one_grey_image_has_gaps_and_one_channel() -> None:
    (image,) = images(1, channels=1)
    grid = image_grid(image[None], columns=1, gap_level=7)
    assert grid.shape == (1, 9, 8)
    torch.testing.assert_close(grid[:, 2:7, 2:6], image)
    assert (grid == 7).sum() >= 9 * 8 - 5 * 4


def test_each_row_of_images_is_above_that_of_their_reconstructions() -> None:
    above, below = torch.arange(1, 6), torch.arange(11, 16)
    pairs = paired_rows(above.view(5, 1, 1, 1), below.view(5, 1, 1, 1), columns=3)
    assert pairs.flatten().tolist() == [1, 2, 3, 11, 12, 13, 4, 5, 0, 14, 15, 0]


@pytest.mark.parametrize(("channels", "kept"), [(1, 1), (2, 1), (3, 3), (4, 3)])
def test_alpha_is_left_out(channels: int, kept: int) -> None:
    torch.testing.assert_close(
        without_alpha(images(2, channels=channels)), images(2, channels=channels)[:, :kept]
    )
