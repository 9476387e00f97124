"""The fast form computes the same function: each rewritten layer against the PyTorch layers it replaces."""

import pytest
import torch
from torch import nn

from training.export.fast_form import (
    LinearToImage,
    OutOfBlocks,
    best_block,
    fast_decoder,
    fast_encoder,
    in_blocks,
)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def outputs(layers: list[nn.Module], inputs: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return nn.Sequential(*layers)(inputs)


@pytest.mark.parametrize("block", [1, 2, 4])
@pytest.mark.parametrize(("num_inputs", "num_outputs"), [(1, 1), (5, 3)])
def test_a_convolution_in_blocks_makes_the_same_pixels(num_inputs: int, num_outputs: int, block: int) -> None:
    convolution = nn.Conv2d(num_inputs, num_outputs, 3, padding=1)
    images = torch.randn(2, num_inputs, 8, 12)
    expected = outputs([convolution], images).mul(20).add(128)
    levels = outputs([in_blocks(convolution, block)], images).mul(20).add(128)
    assert levels.shape == (2, block**2 * num_outputs, 8 // block, 12 // block)
    pixels = OutOfBlocks(block)(levels.round())
    assert int((pixels.int() - expected.round().int()).abs().max()) <= 1  # where rounding is a tie
    assert float((pixels - expected).abs().mean()) < 0.3


def test_images_out_of_blocks_are_channels_last_in_memory() -> None:
    images = OutOfBlocks(2)(torch.zeros(2, 12, 4, 5))
    assert images.shape == (2, 3, 8, 10)
    assert images.permute(0, 2, 3, 1).is_contiguous()


@pytest.mark.parametrize(
    ("image_shape", "block"),
    [
        ((3, 64, 64), 2),
        ((1, 28, 28), 4),
        ((1, 30, 28), 2),
        ((3, 33, 64), 1),
        ((4, 64, 64), 2),
        ((16, 8, 8), 1),
    ],
)
def test_blocks_fill_sixteen_lanes_and_fit_the_image(image_shape: tuple[int, int, int], block: int) -> None:
    assert best_block(image_shape) == block


@pytest.mark.parametrize("output_padding", [(1, 1), (0, 1)])
def test_a_linear_and_a_transposed_convolution_become_one_linear(output_padding: tuple[int, int]) -> None:
    convolution = nn.ConvTranspose2d(64, 8, 3, stride=2, padding=1, output_padding=output_padding)
    layers = [nn.Linear(6, 64 * 2 * 3), nn.Unflatten(1, (64, 2, 3)), convolution, nn.LeakyReLU()]
    height = 3 + output_padding[0]

    fast, _ = fast_decoder(layers, (8, height, 6))

    assert [type(layer) for layer in fast] == [LinearToImage, nn.LeakyReLU]
    z = torch.randn(4, 6)
    torch.testing.assert_close(outputs(fast, z), outputs(layers, z), rtol=1e-4, atol=1e-5)


def test_they_stay_apart_where_one_linear_would_have_more_weights() -> None:
    convolution = nn.ConvTranspose2d(4, 32, 3, stride=2, padding=1, output_padding=1)
    layers = [nn.Linear(16, 4 * 8 * 8), nn.Unflatten(1, (4, 8, 8)), convolution]

    fast, _ = fast_decoder(layers, (32, 16, 16))

    assert [type(layer) for layer in fast] == [LinearToImage, nn.ConvTranspose2d]
    z = torch.randn(3, 16)
    torch.testing.assert_close(outputs(fast, z), outputs(layers, z), rtol=1e-4, atol=1e-5)


def test_an_odd_width_keeps_its_last_convolution() -> None:
    last = nn.Conv2d(4, 3, 3, padding=1)
    layers = [nn.Linear(2, 4 * 5 * 5), nn.Unflatten(1, (4, 5, 5)), last]
    fast, _ = fast_decoder(layers, (3, 5, 5))
    assert torch.equal(fast[-1].weight, last.weight)


def test_features_are_flattened_as_memory_holds_them_and_the_heads_follow() -> None:
    layers = [nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.LeakyReLU(), nn.Flatten(), nn.Linear(6 * 4 * 2, 10)]
    images = torch.randn(2, 3, 8, 4)
    torch.testing.assert_close(outputs(fast_encoder(layers, (6, 4, 2)), images), outputs(layers, images))
