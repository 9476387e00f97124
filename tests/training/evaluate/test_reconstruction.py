import pytest
import torch
from torch import Tensor
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)

from training.errors import NotComputable
from training.evaluate.reconstruction import ms_ssim, psnr, squared_errors


def pair(side: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (3, 1, side, side), generator=generator, dtype=torch.uint8)
    means = (images / 255 + 0.1 * torch.randn(images.shape, generator=generator)).clamp(0, 1)
    return images, means


def test_squared_error_is_the_mean_over_the_pixels_of_each_image() -> None:
    images = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 1, 3, 3)
    means = torch.full((2, 1, 3, 3), 0.2)
    torch.testing.assert_close(squared_errors(images, means), torch.tensor([0.04, 0.64]))


def test_psnr_is_torchmetrics_of_each_image_and_bounded_where_it_is_exact() -> None:
    images, means = pair(16)
    expected = peak_signal_noise_ratio(means, images / 255, data_range=1.0, dim=(1, 2, 3), reduction="none")
    torch.testing.assert_close(psnr(squared_errors(images, means)), expected)
    assert psnr(torch.zeros(1)).item() == 100


def test_large_images_have_all_five_scales() -> None:
    images, means = pair(176)
    expected = multiscale_structural_similarity_index_measure(
        means, images / 255, data_range=1.0, reduction="none"
    )
    name, values = ms_ssim(images, means)
    assert name == "ms_ssim"
    torch.testing.assert_close(values, expected, atol=1e-4, rtol=0)


def test_the_smallest_images_have_one_scale_which_is_ssim() -> None:
    images, means = pair(16)
    name, values = ms_ssim(images, means)
    assert name == "ssim"
    expected = structural_similarity_index_measure(means, images / 255, data_range=1.0, reduction="none")
    torch.testing.assert_close(values, expected)


@pytest.mark.parametrize(("side", "name"), [(28, "ms_ssim_2_scales"), (64, "ms_ssim_3_scales")])
def test_what_was_computed_is_named_and_is_one_for_the_images_themselves(side: int, name: str) -> None:
    images, _ = pair(side)
    assert ms_ssim(images, images / 255)[0] == name
    torch.testing.assert_close(ms_ssim(images, images / 255)[1], torch.ones(3))


def test_images_smaller_than_the_window_are_refused() -> None:
    with pytest.raises(NotComputable, match="needs 11 pixels a side, these images have 8"):
        ms_ssim(*pair(8))
