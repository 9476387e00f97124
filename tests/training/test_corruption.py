import pytest
import torch

from training.config import Config, build_config
from training.corruption import corrupted


@pytest.fixture
def images() -> torch.Tensor:
    return torch.full((200, 3, 16, 16), 0.5)


def spoilt(images: torch.Tensor, config: Config, **changes: float) -> torch.Tensor:
    torch.manual_seed(0)
    return corrupted(
        images, build_config(config.model_dump(), changes={f"data.{k}": v for k, v in changes.items()}).data
    )


def test_nothing_is_copied_where_nothing_is_to_be_spoilt(images: torch.Tensor, tiny_config: Config) -> None:
    assert spoilt(images, tiny_config) is images


def test_noise_has_the_standard_deviation_asked_for_and_the_images_stay_clean(
    images: torch.Tensor, tiny_config: Config
) -> None:
    noise = spoilt(images, tiny_config, noise=0.1) - images
    assert noise.std().item() == pytest.approx(0.1, rel=0.01)
    assert noise.mean().item() == pytest.approx(0, abs=1e-3)
    assert (images == 0.5).all()


def test_noisy_pixels_stay_pixels(images: torch.Tensor, tiny_config: Config) -> None:
    shown = spoilt(images, tiny_config, noise=1.0)
    assert 0 <= shown.min().item() <= shown.max().item() <= 1


def test_a_masked_pixel_is_black_in_all_channels_and_as_frequent_as_asked(
    images: torch.Tensor, tiny_config: Config
) -> None:
    is_black = spoilt(images, tiny_config, mask=0.25) == 0
    assert (is_black.all(dim=1) == is_black.any(dim=1)).all()
    assert is_black.float().mean().item() == pytest.approx(0.25, abs=0.01)
