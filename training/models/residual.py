"""A compact residual VAE that works at a quarter of the resolution and below, for any image size.

Shapes: B batch, C channels, H height, W width, D latent size.
"""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from training.models.vae import VAE

PIXELS_OF_FINEST_STAGE = 4  # to a side, in one cell of the first stage's map
NARROWING = 4
LOG_VAR_LIMITS = (-10.0, 4.0)


class ResidualVAE(VAE):
    """Residual stages from a quarter of the resolution down to mu and log_var, and back up.

    Stage i, from 0, has a map of one cell to each 4 * 2^i pixels of a side: 64x64 images with three stages go
    through 16x16, 8x8 and 4x4, 28x28 ones with a single stage stay at 7x7. Sizes that are no multiple are
    padded with black on all sides, and the logits cropped again. The last map has 2x2 cells at least, so that
    BatchNorm has values to average when a training batch is a single image; smaller images are padded up to
    that, so take fewer stages for them.

    PixelUnshuffle(2) and a 3x3 convolution of stride 2 make the first map; PixelUnshuffle(2), a 1x1
    convolution and a residual block make each next one. The decoder's Linear makes the last map again; a
    residual block, a 1x1 convolution and PixelShuffle(2) go up to the next; a 3x3 convolution and
    PixelShuffle(4) end it. So the finest map, where everything costs the most, has no residual block.
    Shuffles start free of checkerboards.

    log_var is kept between -10 and 4, which no well trained unit reaches.

    Args:
        image_shape: C, H, W.
        latent_dim: D.
        hidden_channels: Channels of each stage, finest first; the list is not changed.
    """

    def __init__(
        self, image_shape: tuple[int, int, int], *, latent_dim: int, hidden_channels: Sequence[int]
    ) -> None:
        num_channels, height, width = image_shape
        stride = PIXELS_OF_FINEST_STAGE * 2 ** (len(hidden_channels) - 1)
        coarse = (hidden_channels[-1], _num_cells(height, stride), _num_cells(width, stride))
        left, right, top, bottom = _padding(coarse[1] * stride - height, coarse[2] * stride - width)
        num_features = math.prod(coarse)

        # With a single stage there is nowhere to go: its own map takes the residual blocks.
        down: list[nn.Module] = [_down(*pair) for pair in itertools.pairwise(hidden_channels)]
        up: list[nn.Module] = [_up(*pair) for pair in itertools.pairwise(hidden_channels[::-1])]
        super().__init__(
            image_shape,
            encoder=nn.Sequential(
                nn.ZeroPad2d((left, right, top, bottom)),
                nn.PixelUnshuffle(2),
                *_activated(
                    nn.Conv2d(4 * num_channels, hidden_channels[0], 3, stride=2, padding=1, bias=False)
                ),
                *(down or [ResidualBlock(hidden_channels[0])]),
                nn.Flatten(),
            ),
            mu=nn.Linear(num_features, latent_dim),
            log_var=nn.Linear(num_features, latent_dim),
            bound=nn.Hardtanh(*LOG_VAR_LIMITS),
            decoder_input=nn.Linear(latent_dim, num_features),
            decoder=nn.Sequential(
                nn.Unflatten(1, coarse),
                *(up or [ResidualBlock(hidden_channels[0])]),
                _shuffled(nn.Conv2d(hidden_channels[0], 16 * num_channels, 3, padding=1), 4),
                nn.PixelShuffle(4),
                nn.ZeroPad2d((-left, -right, -top, -bottom)),
            ),
        )


class ResidualBlock(nn.Module):
    """relu(x + f(x)), f two 3x3 convolutions with BatchNorm and a quarter of the channels between them.

    Source: He et al. 2016 (arXiv 1512.03385).
    """

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        narrow = max(1, num_channels // NARROWING)
        self.residual = nn.Sequential(
            nn.Conv2d(num_channels, narrow, 3, padding=1, bias=False),
            nn.BatchNorm2d(narrow),
            nn.ReLU(),
            nn.Conv2d(narrow, num_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(num_channels),
        )

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return torch.relu(features + self.residual(features))


def _num_cells(size: int, stride: int) -> int:
    return max(2, -(-size // stride))


def _padding(rows: int, columns: int) -> tuple[int, int, int, int]:
    """Left, right, top, bottom."""
    return columns // 2, columns - columns // 2, rows // 2, rows - rows // 2


def _down(inner: int, outer: int) -> nn.Sequential:
    convolution = nn.Conv2d(4 * inner, outer, 1, bias=False)
    return nn.Sequential(nn.PixelUnshuffle(2), *_activated(convolution), ResidualBlock(outer))


def _up(inner: int, outer: int) -> nn.Sequential:
    # Activated before the shuffle, which moves values only: the convolution, its norm and activation are one.
    convolution = _shuffled(nn.Conv2d(inner, 4 * outer, 1, bias=False), 2)
    return nn.Sequential(ResidualBlock(inner), *_activated(convolution), nn.PixelShuffle(2))


def _activated(convolution: nn.Conv2d) -> tuple[nn.Module, ...]:
    return convolution, nn.BatchNorm2d(convolution.out_channels), nn.ReLU()


@torch.no_grad()
def _shuffled(convolution: nn.Conv2d, factor: int) -> nn.Conv2d:
    """Initialise a convolution before PixelShuffle(factor) so that the pixels of a block start out equal.

    ICNR, Aitken et al. 2017 (arXiv 1707.02937): one kernel drawn for all the factor^2 channels of an output.
    """
    first = slice(None, None, factor**2)
    convolution.weight.copy_(convolution.weight[first].repeat_interleave(factor**2, dim=0))
    if convolution.bias is not None:
        convolution.bias.copy_(convolution.bias[first].repeat_interleave(factor**2))
    return convolution
