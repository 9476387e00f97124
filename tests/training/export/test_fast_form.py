"""The fast form computes the same function: each rewritten layer against the PyTorch layers it replaces."""

import pytest
import torch
from torch import nn

from training.export.fast_form import LinearToImage, PairedColumns, fast_decoder, fast_encoder


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def outputs(layers: list[nn.Module], inputs: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return nn.Sequential(*layers)(inputs)


@pytest.mark.parametrize("width", [2, 4, 30])
@pytest.mark.parametrize(("num_inputs", "num_outputs"), [(1, 1), (5, 3)])
def test_paired_columns_are_the_convolution(num_inputs: int, num_outputs: int, width: int) -> None:
    convolution = nn.Conv2d(num_inputs, num_outputs, 3, padding=1)
    images = torch.randn(2, num_inputs, 5, width)
    torch.testing.assert_close(outputs([PairedColumns(convolution)], images), outputs([convolution], images))


@pytest.mark.parametrize("output_padding", [(1, 1), (0, 1)])
def test_a_linear_and_a_transposed_convolution_become_one_linear(output_padding: tuple[int, int]) -> None:
    convolution = nn.ConvTranspose2d(64, 8, 3, stride=2, padding=1, output_padding=output_padding)
    layers = [nn.Linear(6, 64 * 2 * 3), nn.Unflatten(1, (64, 2, 3)), convolution, nn.LeakyReLU()]
    height = 3 + output_padding[0]

    fast = fast_decoder(layers, (8, height, 6))

    assert [type(layer) for layer in fast] == [LinearToImage, nn.LeakyReLU]
    z = torch.randn(4, 6)
    torch.testing.assert_close(outputs(fast, z), outputs(layers, z), rtol=1e-4, atol=1e-5)


def test_they_stay_apart_where_one_linear_would_have_more_weights() -> None:
    convolution = nn.ConvTranspose2d(4, 32, 3, stride=2, padding=1, output_padding=1)
    layers = [nn.Linear(16, 4 * 8 * 8), nn.Unflatten(1, (4, 8, 8)), convolution]

    fast = fast_decoder(layers, (32, 16, 16))

    assert [type(layer) for layer in fast] == [LinearToImage, nn.ConvTranspose2d]
    z = torch.randn(3, 16)
    torch.testing.assert_close(outputs(fast, z), outputs(layers, z), rtol=1e-4, atol=1e-5)


def test_an_odd_width_keeps_its_last_convolution() -> None:
    last = nn.Conv2d(4, 3, 3, padding=1)
    layers = [nn.Linear(2, 4 * 5 * 5), nn.Unflatten(1, (4, 5, 5)), last]
    assert fast_decoder(layers, (3, 5, 5))[-1] is last


def test_features_are_flattened_as_memory_holds_them_and_the_heads_follow() -> None:
    layers = [nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.LeakyReLU(), nn.Flatten(), nn.Linear(6 * 4 * 2, 10)]
    images = torch.randn(2, 3, 8, 4)
    torch.testing.assert_close(outputs(fast_encoder(layers, (6, 4, 2)), images), outputs(layers, images))
