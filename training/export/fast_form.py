"""The same function in the form that devices run fastest; algebra only, nothing is approximated.

What is rewritten was measured layer by layer; see tests/benchmarks/README.md.

Shapes: B batch, C and I channels, H height, W width, D latent size.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


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


class PairedColumns(nn.Module):
    """A 3x3 convolution of padding 1 that makes two neighbouring columns at once, for an even width.

    Vector units compute 16 output channels where a picture has 1 or 3. Two columns of C channels are
    one column of 2 C channels, by nothing but a view of channels-last memory; the pair (2j, 2j + 1)
    needs the columns 2j - 1 to 2j + 2, which are two pairs of the input shifted by one column.

    Args:
        convolution: (B, I, H, W) -> (B, C, H, W), 3x3, stride 1, padding 1.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        num_outputs, num_inputs = convolution.weight.shape[:2]
        weight = torch.zeros(2, num_outputs, 2, num_inputs, 3, 2)
        for column in range(2):
            for tap in range(3):
                pair, side = divmod(column + tap, 2)
                weight[column, :, side, :, :, pair] = convolution.weight[:, :, :, tap].detach()
        assert convolution.bias is not None
        self.weight = nn.Parameter(weight.reshape(2 * num_outputs, 2 * num_inputs, 3, 2))
        self.bias = nn.Parameter(convolution.bias.detach().repeat(2))

    def forward(self, images: Tensor) -> Tensor:
        """Convolve (B, I, H, W), W even."""
        padded = functional.pad(images, [1, 1, 0, 0]).permute(0, 2, 3, 1)
        batch, height, width, channels = padded.shape
        pairs = padded.reshape(batch, height, width // 2, 2 * channels).permute(0, 3, 1, 2)
        outputs = functional.conv2d(pairs, self.weight, self.bias, padding=[1, 0]).permute(0, 2, 3, 1)
        return outputs.reshape(batch, height, width - 2, -1).permute(0, 3, 1, 2)


def fast_decoder(layers: Sequence[nn.Module], image_shape: tuple[int, int, int]) -> list[nn.Module]:
    """Rewrite a decoder's layers, BatchNorm already folded.

    Args:
        layers: Linear, Unflatten, then convolutions and activations; latents (B, D) -> logits.
        image_shape: C, H, W of the logits.
    """
    fast = list(layers)
    if isinstance(fast[0], nn.Linear) and isinstance(fast[1], nn.Unflatten):
        fast[:2] = [_to_image(fast[0], fast[1])]
        if isinstance(fast[1], nn.ConvTranspose2d):
            fast[:2] = _composed(fast[0], fast[1])
    last = fast[-1]
    if isinstance(last, nn.Conv2d) and _is_same_size_3x3(last) and image_shape[2] % 2 == 0:
        fast[-1] = PairedColumns(last)
    return fast


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
