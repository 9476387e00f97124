"""The fully connected VAE of the IWAE paper, whose published likelihoods are the ones to compare with.

Shapes: C channels, H height, W width, D latent size.
"""

import itertools
import math
from collections.abc import Sequence

from torch import nn

from training.models.vae import VAE


class MLPVAE(VAE):
    """Hidden layers with tanh up to mu and log_var; the same layers back to one logit a pixel value.

    Source: Burda, Grosse & Salakhutdinov 2016 (arXiv 1509.00519), section 5 and appendix C: one stochastic
    layer of 50 units, two deterministic ones of 200, weights as Glorot & Bengio 2010.

    Args:
        image_shape: C, H, W.
        latent_dim: D.
        hidden_channels: Sizes of the hidden layers, from the image to the latent; the list is not changed.
    """

    def __init__(
        self, image_shape: tuple[int, int, int], *, latent_dim: int, hidden_channels: Sequence[int]
    ) -> None:
        sizes = [math.prod(image_shape), *hidden_channels]
        inwards = [_linear_tanh(inner, outer) for inner, outer in itertools.pairwise(sizes)]
        outwards = [_tanh_linear(inner, outer) for inner, outer in itertools.pairwise(sizes[::-1])]
        super().__init__(
            image_shape,
            encoder=nn.Sequential(nn.Flatten(), *inwards),
            mu=_linear(sizes[-1], latent_dim),
            log_var=_linear(sizes[-1], latent_dim),
            decoder_input=_linear(latent_dim, sizes[-1]),
            decoder=nn.Sequential(*outwards, nn.Unflatten(1, image_shape)),
        )


def _linear_tanh(inner: int, outer: int) -> nn.Sequential:
    return nn.Sequential(_linear(inner, outer), nn.Tanh())


def _tanh_linear(inner: int, outer: int) -> nn.Sequential:
    return nn.Sequential(nn.Tanh(), _linear(inner, outer))


def _linear(inner: int, outer: int) -> nn.Linear:
    linear = nn.Linear(inner, outer)
    nn.init.xavier_uniform_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear
