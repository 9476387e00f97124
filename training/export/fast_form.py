"""The same function in the form that devices run fastest; algebra only, nothing is approximated.

What is rewritten was measured layer by layer; see tests/benchmarks/README.md.

Shapes: B batch, C and I channels, H height, W width, D latent size, b side of a block of pixels.
"""

import copy
from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from training.export.fast_layers import (
    FlattenChannelsLast,
    LinearResidual,
    LinearShuffle,
    LinearToImage,
    OutOfBlocks,
)
from training.models.residual import ResidualBlock

VECTOR_LANES = 16  # of float32 in the widest common vector unit
BLOCK_SIDES = (1, 2, 4)
MULTIPLICATIONS_PER_WEIGHT = 4  # that take as long as a weight's way from memory, for one image

Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)


def fast_encoder(layers: Sequence[nn.Module], flattened_shape: Sequence[int]) -> list[nn.Module]:
    """Rewrite an encoder's layers, BatchNorm already folded; they are not changed.

    Args:
        layers: Images (B, C, H, W) in [0, 1] -> (B, 2 D), with one Flatten, before a Linear.
        flattened_shape: C, H, W of what that flattens.

    Returns:
        Layers that take images in levels of 0 to 255, channels last in memory.
    """
    fast: list[nn.Module] = []
    for layer in layers:
        match [*fast, layer]:
            case [*before, nn.PixelUnshuffle() as unshuffle, nn.Conv2d() as convolution]:
                fast = [*before, unshuffling(convolution, unshuffle.downscale_factor)]
            case [*before, nn.Flatten(), nn.Linear() as linear]:
                fast = [*before, FlattenChannelsLast(), _with_inputs_channels_last(linear, flattened_shape)]
            case unchanged:
                fast = unchanged
    for index, layer in enumerate(fast):
        if isinstance(layer, nn.Conv2d | nn.Linear):
            fast[index] = _for_levels(layer)
            break
    return fast


def fast_decoder(
    layers: Sequence[nn.Module], image_shape: tuple[int, int, int]
) -> tuple[list[nn.Module], OutOfBlocks]:
    """Rewrite a decoder's layers, BatchNorm already folded; they are not changed.

    Args:
        layers: Latents (B, D) -> logits (B, C, H, W), with a Linear before an Unflatten.
        image_shape: C, H, W of the logits.

    Returns:
        Layers whose logits are in blocks of pixels, and what makes images of such blocks.
    """
    body = list(layers)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    block = 1
    match body:
        case [*body, nn.ZeroPad2d() as crop]:
            left, right, top, bottom = crop.padding
            padding = (-left, -right, -top, -bottom)
    match body:
        case [*_, nn.Conv2d() as last, nn.PixelShuffle() as shuffle]:
            block = shuffle.upscale_factor
            body[-2:] = [_with_outputs_in_blocks(last, block)]
        case [*_, nn.Conv2d() as last] if _is_same_size_3x3(last):
            block = best_block(image_shape)
            body[-1] = in_blocks(last, block)
    return _rewritten(body), OutOfBlocks(block, padding)


def _rewritten(layers: Sequence[nn.Module]) -> list[nn.Module]:
    """The layers of a decoder, each put together with those before it where a faster form has both."""
    fast: list[nn.Module] = []
    for layer in layers:
        match [*fast, layer]:
            case [*before, nn.Linear() as linear, nn.Unflatten() as unflatten]:
                fast = [*before, _to_image(linear, unflatten)]
            case [*before, LinearToImage() as first, nn.ConvTranspose2d() as convolution]:
                fast = [*before, *_composed(first, convolution)]
            case [*before, LinearToImage() as first, ResidualBlock() as residual]:
                fast = [*before, *_with_residual(first, residual)]
            case [*before, nn.Conv2d() as convolution, nn.ReLU() as relu, nn.PixelShuffle() as shuffle] if (
                convolution.kernel_size == (1, 1)
            ):
                fast = [*before, _linear_shuffle(convolution, relu, shuffle.upscale_factor)]
            case unchanged:
                fast = unchanged
    return fast


def best_block(image_shape: tuple[int, int, int]) -> int:
    """The side of the blocks that needs the fewest vector operations a pixel, among those that fit C, H, W.

    A block of b x b pixels takes (3 + b - 1)^2 taps for b^2 C output channels, which come in whole vectors.
    """
    num_channels, height, width = image_shape

    def num_operations(block: int) -> float:
        num_vectors = -(-num_channels * block**2 // VECTOR_LANES)
        return (block + 2) ** 2 * num_vectors / block**2

    return min((b for b in BLOCK_SIDES if height % b == width % b == 0), key=num_operations)


@torch.no_grad()
def in_blocks(convolution: nn.Conv2d, block: int) -> nn.Conv2d:
    """A 3x3 convolution of padding 1 that makes b x b pixels at once: (B, I, H, W) -> (B, b^2 C, H/b, W/b).

    Vector units compute 16 output channels where a picture has 1 or 3; a block of pixels fills them. The
    kernel of the pixel at (row, column) of a block is the 3x3 kernel moved by as much; the stride is b.
    """
    num_outputs, num_inputs = convolution.weight.shape[:2]
    side = block + 2
    weight = torch.zeros(block, block, num_outputs, num_inputs, side, side)
    for row in range(block):
        for column in range(block):
            weight[row, column, :, :, row : row + 3, column : column + 3] = convolution.weight
    blocks = nn.Conv2d(num_inputs, block**2 * num_outputs, side, stride=block, padding=1)
    blocks.weight = nn.Parameter(weight.flatten(0, 2))
    assert convolution.bias is not None
    blocks.bias = nn.Parameter(convolution.bias.repeat(block**2))
    return blocks


def unshuffling(convolution: nn.Conv2d, factor: int) -> nn.Conv2d:
    """A convolution after PixelUnshuffle(factor) as one of the image itself, with a kernel so much larger."""
    weight = convolution.weight.detach().unflatten(1, (-1, factor, factor)).permute(0, 1, 4, 2, 5, 3)
    num_outputs, num_inputs, rows, _, columns, _ = weight.shape
    merged = nn.Conv2d(
        num_inputs,
        num_outputs,
        (factor * rows, factor * columns),
        stride=_times(factor, convolution.stride),
        padding=_times(factor, convolution.padding),
    )
    assert convolution.bias is not None
    return _with_weights(merged, weight.reshape(merged.weight.shape), convolution.bias.detach())


def _with_outputs_in_blocks(convolution: nn.Conv2d, block: int) -> nn.Conv2d:
    """A convolution before PixelShuffle, whose channels are C of blocks, for blocks of C channels."""
    assert convolution.bias is not None
    weight, bias = (
        values.detach().unflatten(0, (-1, block**2)).transpose(0, 1).flatten(0, 1)
        for values in (convolution.weight, convolution.bias)
    )
    return _with_weights(convolution, weight, bias)


def _with_inputs_channels_last(linear: nn.Linear, shape: Sequence[int]) -> nn.Linear:
    weight = linear.weight.detach().view(-1, *shape).permute(0, 2, 3, 1).flatten(1)
    return _with_weights(linear, weight)


def _for_levels(first: nn.Conv2d | nn.Linear) -> nn.Module:
    """A layer for images in [0, 1] as one for levels of 0 to 255: padding with zero is the same for both."""
    levels = copy.deepcopy(first)
    levels.weight = nn.Parameter(first.weight.detach() / 255)
    return levels


def _with_weights(layer: Layer, weight: Tensor, bias: Tensor | None = None) -> Layer:
    """A copy of a layer with another weight, and another bias if one is given."""
    changed = copy.deepcopy(layer)
    changed.weight = nn.Parameter(weight.contiguous())
    if bias is not None:
        changed.bias = nn.Parameter(bias.contiguous())
    return changed


def _to_image(linear: nn.Linear, unflatten: nn.Unflatten) -> nn.Module:
    shape = tuple(unflatten.unflattened_size)
    return LinearToImage(linear.weight.detach().t().reshape(-1, *shape), linear.bias.detach().view(shape))


def _composed(first: LinearToImage, convolution: nn.ConvTranspose2d) -> list[nn.Module]:
    """A Linear and the transposed convolution after it as one Linear, where that has fewer weights."""
    composed = _after(first, convolution)
    num_weights = first.weight.numel() + convolution.weight.numel()
    return [composed] if composed.weight.numel() <= num_weights else [first, convolution]


def _with_residual(first: LinearToImage, block: ResidualBlock) -> list[nn.Module]:
    """A Linear and the residual block after it, whose first convolution becomes a part of the Linear.

    Where it is worth it: an output takes the convolution 9 C multiplications, the Linear D weights.
    """
    inner, _, outer = block.residual
    assert isinstance(inner, nn.Conv2d)
    assert isinstance(outer, nn.Conv2d)
    if first.weight.shape[1] * MULTIPLICATIONS_PER_WEIGHT > inner.weight[0].numel():
        return [first, block]
    return [LinearResidual(first, _after(first, inner), outer)]


@torch.no_grad()
def _after(first: LinearToImage, convolution: nn.Conv2d | nn.ConvTranspose2d) -> LinearToImage:
    """A Linear and the convolution after it as one Linear.

    Both are linear, so the images that the latent units add go through the convolution one by one.
    """
    shape = (first.height, first.width, first.channels)
    convolution = copy.deepcopy(convolution).double()
    zero = convolution(first.bias.double().view(1, *shape).permute(0, 3, 1, 2))
    pixels = first.weight.double().t().reshape(-1, *shape).permute(0, 3, 1, 2)
    images = convolution(pixels) - convolution(torch.zeros_like(pixels[:1]))
    return LinearToImage(images.float(), zero[0].float())


def _linear_shuffle(convolution: nn.Conv2d, activation: nn.Module, block: int) -> LinearShuffle:
    convolution = _with_outputs_in_blocks(convolution, block)
    linear = nn.Linear(convolution.in_channels, convolution.out_channels)
    assert convolution.bias is not None
    weights = _with_weights(linear, convolution.weight.detach().flatten(1), convolution.bias.detach())
    return LinearShuffle(weights, activation, block)


def _is_same_size_3x3(layer: nn.Conv2d) -> bool:
    return (layer.kernel_size, layer.stride, layer.padding) == ((3, 3), (1, 1), (1, 1)) and (
        layer.dilation,
        layer.groups,
    ) == ((1, 1), 1)


def _times(factor: int, sizes: str | tuple[int, ...]) -> tuple[int, int]:
    assert not isinstance(sizes, str)
    rows, columns = sizes
    return factor * rows, factor * columns
