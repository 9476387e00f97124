"""The fast form computes the same function: each rewritten layer against the PyTorch layers it replaces."""

import pytest
import torch
from torch import nn

from training.export.fast_form import best_block, fast_decoder, fast_encoder, in_blocks, unshuffling
from training.export.fast_layers import (
    FlattenChannelsLast,
    LinearResidual,
    LinearShuffle,
    LinearToImage,
    OutOfBlocks,
)
from training.models.residual import ResidualBlock


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
    pixels = OutOfBlocks(block)(levels.round(), torch.uint8)
    assert int((pixels.int() - expected.round().int()).abs().max()) <= 1  # where rounding is a tie
    assert float((pixels - expected).abs().mean()) < 0.3


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("padding", [(0, 0, 0, 0), (1, 2, 0, 3)])
def test_images_out_of_blocks_are_channels_last_in_memory(
    padding: tuple[int, int, int, int], dtype: torch.dtype
) -> None:
    columns = torch.arange(2 * 12 * 4 * 5).view(2, 12, 4, 5).float() % 251
    left, right, top, bottom = padding
    images = OutOfBlocks(2, padding)(columns, dtype)
    # PixelShuffle has the channels of a block the other way round: C of blocks, not blocks of C.
    shuffled = nn.PixelShuffle(2)(columns.unflatten(1, (4, 3)).transpose(1, 2).flatten(1, 2))
    assert torch.equal(images, shuffled[:, :, top : 8 - bottom, left : 10 - right].to(dtype))
    assert images.dtype == dtype
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


def residual_block(num_channels: int) -> nn.Module:
    """A residual block as it is after folding."""
    block = ResidualBlock(num_channels)
    convolutions = (layer for layer in block.residual if isinstance(layer, nn.Conv2d))
    inner, outer = (nn.Conv2d(c.in_channels, c.out_channels, 3, padding=1) for c in convolutions)
    block.residual = nn.Sequential(inner, nn.ReLU(), outer)
    return block


def test_a_linear_and_the_first_half_of_a_residual_block_become_one_linear() -> None:
    layers = [nn.Linear(6, 16 * 3 * 2), nn.Unflatten(1, (16, 3, 2)), residual_block(16)]
    fast, _ = fast_decoder(layers, (16, 3, 2))
    assert [type(layer) for layer in fast] == [LinearResidual]
    z = torch.randn(4, 6)
    torch.testing.assert_close(outputs(fast, z), outputs(layers, z), rtol=1e-4, atol=1e-5)


def test_they_stay_apart_where_the_latent_is_large() -> None:
    layers = [nn.Linear(40, 16 * 3 * 2), nn.Unflatten(1, (16, 3, 2)), residual_block(16)]
    fast, _ = fast_decoder(layers, (16, 3, 2))
    assert [type(layer) for layer in fast] == [LinearToImage, ResidualBlock]
    z = torch.randn(4, 40)
    torch.testing.assert_close(outputs(fast, z), outputs(layers, z), rtol=1e-4, atol=1e-5)


def test_a_1x1_convolution_before_a_shuffle_is_a_linear_of_each_pixel() -> None:
    up = [nn.Conv2d(16, 4 * 8, 1), nn.ReLU(), nn.PixelShuffle(2)]
    layers = [nn.Linear(3, 16 * 2 * 5), nn.Unflatten(1, (16, 2, 5)), *up]
    fast, _ = fast_decoder(layers, (8, 4, 10))
    assert [type(layer) for layer in fast] == [LinearToImage, LinearShuffle]
    z = torch.randn(3, 3)
    torch.testing.assert_close(outputs(fast, z), outputs(layers, z), rtol=1e-4, atol=1e-5)


def test_the_last_shuffle_and_the_crop_are_one_with_the_way_out_of_blocks() -> None:
    end = [nn.Conv2d(4, 16 * 3, 3, padding=1), nn.PixelShuffle(4), nn.ZeroPad2d((-1, -2, 0, -3))]
    layers = [nn.Linear(2, 4 * 3 * 2), nn.Unflatten(1, (4, 3, 2)), *end]
    fast, out_of_blocks = fast_decoder(layers, (3, 9, 5))
    assert [type(layer) for layer in fast] == [LinearToImage, nn.Conv2d]
    z = torch.randn(3, 2)
    images = out_of_blocks(outputs(fast, z), torch.float32)
    torch.testing.assert_close(images, outputs(layers, z), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(1, 1, 0), (3, 2, 1), (3, 1, 1)])
@pytest.mark.parametrize("factor", [2, 3])
def test_a_convolution_after_unshuffling_is_one_with_a_larger_kernel(
    kernel: int, stride: int, padding: int, factor: int
) -> None:
    convolution = nn.Conv2d(2 * factor**2, 5, kernel, stride=stride, padding=padding)
    images = torch.randn(2, 2, 6 * factor, 5 * factor)
    merged = outputs([unshuffling(convolution, factor)], images)
    expected = outputs([nn.PixelUnshuffle(factor), convolution], images)
    torch.testing.assert_close(merged, expected, rtol=1e-4, atol=1e-5)


def test_an_encoder_takes_levels_and_flattens_as_memory_holds_them() -> None:
    layers = [
        nn.ZeroPad2d((1, 0, 1, 1)),
        nn.PixelUnshuffle(2),
        nn.Conv2d(12, 6, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(6 * 3 * 2, 10),
    ]
    levels = torch.randint(0, 256, (2, 3, 8, 7)).float().contiguous(memory_format=torch.channels_last)
    fast = fast_encoder(layers, (6, 3, 2))
    assert [type(layer) for layer in fast[-2:]] == [FlattenChannelsLast, nn.Linear]
    torch.testing.assert_close(outputs(fast, levels), outputs(layers, levels / 255), rtol=1e-4, atol=1e-5)


def test_an_encoder_that_flattens_first_takes_levels_too() -> None:
    layers = [nn.Flatten(), nn.Linear(3 * 4 * 2, 5), nn.Tanh(), nn.Linear(5, 4)]
    levels = torch.randint(0, 256, (2, 3, 4, 2)).float()
    fast = fast_encoder(layers, (3, 4, 2))
    torch.testing.assert_close(outputs(fast, levels), outputs(layers, levels / 255), rtol=1e-4, atol=1e-5)
