"""A trained network as a flat list of layers, and BatchNorm folded into the convolutions before it."""

import copy
from collections.abc import Sequence

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from training.models.residual import ResidualBlock


def flattened(network: nn.Module) -> list[nn.Module]:
    """The layers of nested Sequentials, in the order in which they are applied."""
    if not isinstance(network, nn.Sequential):
        return [network]
    return [layer for child in network for layer in flattened(child)]


def with_batch_norm_folded(layers: Sequence[nn.Module]) -> list[nn.Module]:
    """The same function in evaluation mode without BatchNorm: w' = w gamma / sqrt(var + eps), b' alike.

    Source: Ioffe & Szegedy 2015 (arXiv 1502.03167), section 3.1. The given layers are not changed.
    """
    folded: list[nn.Module] = []
    for layer in layers:
        if isinstance(layer, nn.BatchNorm2d):
            convolution = folded.pop()
            assert isinstance(convolution, nn.Conv2d | nn.ConvTranspose2d)
            transposed = isinstance(convolution, nn.ConvTranspose2d)
            folded.append(fuse_conv_bn_eval(convolution, layer, transpose=transposed))
        elif isinstance(layer, ResidualBlock):
            block = copy.deepcopy(layer)
            block.residual = nn.Sequential(*with_batch_norm_folded(flattened(layer.residual)))
            folded.append(block)
        else:
            folded.append(layer)
    return folded
