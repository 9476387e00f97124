"""The layers of which the fast form is made, beside PyTorch's own; all work on channels-last memory.

A block is a square of b x b pixels that is held as one column of b^2 C channels: channel
(row * b + column) * C + c is value c of the pixel at (row, column).

Shapes: B batch, C and N channels, H height, W width, D latent size, b side of a block.
"""

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


class LinearResidual(nn.Module):
    """relu(x + convolution(relu(y))) where the images x and y are linear in z: (B, D) -> (B, C, H, W).

    Both come from one matrix product.

    Args:
        x: z -> (B, C, H, W).
        y: z -> (B, N, H, W).
        convolution: (B, N, H, W) -> (B, C, H, W).
    """

    def __init__(self, x: LinearToImage, y: LinearToImage, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.height, self.width = x.height, x.width
        self.channels, self.inner_channels = x.channels, y.channels
        self.weight = nn.Parameter(torch.cat([x.weight, y.weight]))
        self.bias = nn.Parameter(torch.cat([x.bias, y.bias]))
        self.convolution = convolution

    def forward(self, z: Tensor) -> Tensor:
        """Images (B, C, H, W), channels last in memory, of latents (B, D)."""
        num = self.height * self.width * self.channels
        pixels = functional.linear(z, self.weight, self.bias)
        x = pixels[:, :num].view(-1, self.height, self.width, self.channels)
        y = torch.relu(pixels[:, num:]).view(-1, self.height, self.width, self.inner_channels)
        return torch.relu(x.permute(0, 3, 1, 2) + self.convolution(y.permute(0, 3, 1, 2)))


class LinearShuffle(nn.Module):
    """A 1x1 convolution, an activation and PixelShuffle, as a Linear of each pixel and one copy.

    Args:
        linear: C -> b^2 N features.
        activation: Element by element.
        block: b.
    """

    def __init__(self, linear: nn.Linear, activation: nn.Module, block: int) -> None:
        super().__init__()
        self.linear = linear
        self.activation = activation
        self.block = block

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, N, b H, b W), channels last in memory."""
        blocks = self.activation(self.linear(images.permute(0, 2, 3, 1)))
        return _from_blocks(blocks, self.block, blocks.dtype)


class FlattenChannelsLast(nn.Module):
    """Features in the order in which channels-last memory holds them: (B, C, H, W) -> (B, H W C)."""

    def forward(self, images: Tensor) -> Tensor:
        """Flatten without a copy."""
        return images.permute(0, 2, 3, 1).flatten(1)


class OutOfBlocks(nn.Module):
    """Blocks of pixels become images: a cast and a shuffle in one copy, before the padding is cut off.

    Args:
        block: b.
        padding: Left, right, top, bottom, in pixels.
    """

    def __init__(self, block: int = 1, padding: tuple[int, int, int, int] = (0, 0, 0, 0)) -> None:
        super().__init__()
        self.block = block
        self.is_padded = any(padding)
        self.left, self.right, self.top, self.bottom = padding

    def forward(self, levels: Tensor, dtype: torch.dtype) -> Tensor:
        """(B, C, H, W) of a dtype, channels last in memory, of (B, b^2 C, H/b, W/b)."""
        images = _from_blocks(levels.permute(0, 2, 3, 1), self.block, dtype)
        if not self.is_padded:
            return images
        height, width = images.shape[2] - self.bottom, images.shape[3] - self.right
        return images[:, :, self.top : height, self.left : width].contiguous(
            memory_format=torch.channels_last
        )


def _from_blocks(blocks: Tensor, block: int, dtype: torch.dtype) -> Tensor:
    """Images (B, C, H, W) of a dtype, channels last in memory, of blocks (B, H/b, W/b, b^2 C)."""
    rows = blocks.unflatten(3, (block, -1)).transpose(2, 3)
    # The cast alone leaves a tensor as it is that has the dtype already.
    rows = rows.to(dtype, memory_format=torch.contiguous_format).contiguous()
    images: Tensor = rows.flatten(1, 2).unflatten(3, (block, -1)).flatten(2, 3)
    return images.permute(0, 3, 1, 2)
