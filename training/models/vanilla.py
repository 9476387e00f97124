"""The convolutional VAE of Burkov's article (PyTorch-VAE's VanillaVAE), for any image size and channel list.

Shapes: C channels, H height, W width, D latent size.
"""

from collections.abc import Sequence

from torch import nn

from training.models.vae import VAE


class VanillaVAE(VAE):
    """Strided convolutions down to mu and log_var; transposed convolutions back to the same sizes.

    Each stage halves the size (rounding up) with a 3x3 convolution, BatchNorm and LeakyReLU; the decoder
    mirrors the sizes exactly, whatever they are, and ends in a 3x3 convolution to one logit a pixel value.
    Where the last stage leaves a single pixel, BatchNorm refuses a training batch of one image (ValueError).
    Source: AntixK/PyTorch-VAE, `vanilla_vae.py`.

    Args:
        image_shape: C, H, W.
        latent_dim: D.
        hidden_channels: Channels after each stage of the encoder, finest first; the list is not changed.
    """

    def __init__(
        self, image_shape: tuple[int, int, int], *, latent_dim: int, hidden_channels: Sequence[int]
    ) -> None:
        num_channels, height, width = image_shape
        sizes = [(height, width)]
        for _ in hidden_channels:
            sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
        num_features = hidden_channels[-1] * sizes[-1][0] * sizes[-1][1]
        down = zip([num_channels, *hidden_channels[:-1]], hidden_channels, strict=True)

        coarse_to_fine = list(hidden_channels)[::-1]
        up = zip(
            coarse_to_fine,
            [*coarse_to_fine[1:], hidden_channels[0]],
            sizes[:0:-1],
            sizes[-2::-1],
            strict=True,
        )
        super().__init__(
            image_shape,
            encoder=nn.Sequential(*(_down(inner, outer) for inner, outer in down), nn.Flatten()),
            mu=nn.Linear(num_features, latent_dim),
            log_var=nn.Linear(num_features, latent_dim),
            decoder_input=nn.Linear(latent_dim, num_features),
            decoder=nn.Sequential(
                nn.Unflatten(1, (hidden_channels[-1], *sizes[-1])),
                *(_up(inner, outer, small=small, large=large) for inner, outer, small, large in up),
                nn.Conv2d(hidden_channels[0], num_channels, kernel_size=3, padding=1),
            ),
        )


def _down(inner: int, outer: int) -> nn.Sequential:
    convolution = nn.Conv2d(inner, outer, kernel_size=3, stride=2, padding=1)
    return nn.Sequential(convolution, nn.BatchNorm2d(outer), nn.LeakyReLU())


def _up(inner: int, outer: int, *, small: tuple[int, int], large: tuple[int, int]) -> nn.Sequential:
    # A 3x3 stride-2 transposed convolution makes 2 s - 1 of s; the missing row is what rounding up added.
    output_padding = (large[0] - 2 * small[0] + 1, large[1] - 2 * small[1] + 1)
    convolution = nn.ConvTranspose2d(inner, outer, 3, stride=2, padding=1, output_padding=output_padding)
    return nn.Sequential(convolution, nn.BatchNorm2d(outer), nn.LeakyReLU())
