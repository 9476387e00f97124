"""The same function in the form that devices run fastest; algebra only, nothing is approximated.

What is rewritten was measured layer by layer; see tests/benchmarks/README.md.

Shapes: B batch, C and I channels, H height, W width, D latent size.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

VECTOR_LANES = 16  # of float32 in the widest common vector unit
BLOCK_SIDES = (1, 2, 4)


class LinearToImage(nn.Module):
    """A Linear whose features are the pixels of an image in channels-last order: (B, D) -> (B, C, H, W).

    Args:
        pixels: For each latent unit the image that it adds, (D, C, H, W).
        bias: The image of the zero latent, (C, H, W).
    """

    def __init__(self, pixels: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.channels, self.height, self.width = bias.shape
        self.weight = nn.Parameter(pixels.permute(2, 3, 1, 0).flatten(0, 2).contiguous())
        self.bias = nn.Parameter(bias.permute(1, 2, 0).flatten().contiguous())

    def forward(self, z: Tensor) -> Tensor:
        """Images (B, C, H, W), channels last in memory, of latents (B, D)."""
        pixels = functional.linear(z, self.weight, self.bias)
        return pixels.view(-1, self.height, self.width, self.channels).permute(0, 3, 1, 2)


class FlattenChannelsLast(nn.Module):
    """Features in the order in which channels-last memory holds them: (B, C, H, W) -> (B, H W C)."""

    def forward(self, images: Tensor) -> Tensor:
        """Flatten without a copy."""
        return images.permute(0, 2, 3, 1).flatten(1)


class OutOfBlocks(nn.Module):
    """Blocks of pixels, each a column of channels, become images: a cast to bytes and a shuffle in one copy.

    Args:
        block: b, the side of a block; channel (row * b + column) * C + c is one pixel of it.
    """

    def __init__(self, block: int) -> None:
        super().__init__()
        self.block = block

    def forward(self, levels: Tensor) -> Tensor:
        """uint8 (B, C, H, W), channels last in memory, of (B, b^2 C, H/b, W/b)."""
        batch, _, rows, columns = levels.shape
        pixels = levels.permute(0, 2, 3, 1).reshape(batch, rows, columns, self.block, self.block, -1)
        images = pixels.permute(0, 1, 3, 2, 4, 5).to(torch.uint8, memory_format=torch.contiguous_format)
        return images.view(batch, rows * self.block, columns * self.block, -1).permute(0, 3, 1, 2)


def fast_decoder(
    layers: Sequence[nn.Module], image_shape: tuple[int, int, int]
) -> tuple[list[nn.Module], OutOfBlocks]:
    """Rewrite a decoder's layers, BatchNorm already folded.

    Args:
        layers: Linear, Unflatten, then convolutions and activations; latents (B, D) -> logits.
        image_shape: C, H, W of the logits.

    Returns:
        Layers whose logits are in blocks of pixels, and what makes images of such blocks.
    """
    fast = list(layers)
    if isinstance(fast[0], nn.Linear) and isinstance(fast[1], nn.Unflatten):
        fast[:2] = [_to_image(fast[0], fast[1])]
        if isinstance(fast[1], nn.ConvTranspose2d):
            fast[:2] = _composed(fast[0], fast[1])
    last = fast[-1]
    block = 1
    if isinstance(last, nn.Conv2d) and _is_same_size_3x3(last):
        block = best_block(image_shape)
        fast[-1] = in_blocks(last, block)
    return fast, OutOfBlocks(block)


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


def fast_encoder(layers: Sequence[nn.Module], coarse_shape: tuple[int, int, int]) -> list[nn.Module]:
    """Rewrite an encoder's layers that end in Flatten and a Linear.

    Args:
        layers: Convolutions and activations, Flatten, Linear.
        coarse_shape: C, H, W of what is flattened.
    """
    *body, flatten, heads = layers
    if not (isinstance(flatten, nn.Flatten) and isinstance(heads, nn.Linear)):
        return list(layers)
    channels, height, width = coarse_shape
    weight = heads.weight.detach().view(-1, channels, height, width).permute(0, 2, 3, 1).flatten(1)
    reordered = nn.Linear(heads.in_features, heads.out_features)
    reordered.weight, reordered.bias = nn.Parameter(weight.contiguous()), heads.bias
    return [*body, FlattenChannelsLast(), reordered]


def _to_image(linear: nn.Linear, unflatten: nn.Unflatten) -> nn.Module:
    shape = tuple(unflatten.unflattened_size)
    return LinearToImage(linear.weight.detach().t().reshape(-1, *shape), linear.bias.detach().view(shape))


@torch.no_grad()
def _composed(first: nn.Module, convolution: nn.ConvTranspose2d) -> list[nn.Module]:
    """A Linear and the transposed convolution after it as one Linear, where that has fewer weights.

    Both are linear, so the images that the latent units add go through the convolution one by one.
    """
    assert isinstance(first, LinearToImage)
    shape = (first.height, first.width, first.channels)
    convolution = convolution.double()
    zero = convolution(first.bias.double().view(1, *shape).permute(0, 3, 1, 2))
    pixels = first.weight.double().t().reshape(-1, *shape).permute(0, 3, 1, 2)
    images = convolution(pixels) - convolution(torch.zeros_like(pixels[:1]))
    convolution.float()
    composed = LinearToImage(images.float(), zero[0].float())
    num_weights = first.weight.numel() + convolution.weight.numel()
    return [composed] if composed.weight.numel() <= num_weights else [first, convolution]


def _is_same_size_3x3(layer: nn.Conv2d) -> bool:
    return (layer.kernel_size, layer.stride, layer.padding) == ((3, 3), (1, 1), (1, 1)) and (
        layer.dilation,
        layer.groups,
    ) == ((1, 1), 1)
