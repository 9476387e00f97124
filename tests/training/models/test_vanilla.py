import itertools

import torch
from torch import nn

from training.models.vanilla import VanillaVAE

ARTICLE = {"latent_dim": 128, "hidden_channels": (32, 64, 128, 256, 512)}


def count(model: nn.Module) -> int:
    return sum(weight.numel() for weight in model.parameters())


def test_the_articles_network_has_the_articles_number_of_parameters() -> None:
    # Counted by hand: encoder convolutions and norms, two heads, decoder input, transposed ones, last 3x3.
    channels = [3, 32, 64, 128, 256, 512]
    down = sum(9 * a * b + 3 * b for a, b in itertools.pairwise(channels))
    up = [512, 256, 128, 64, 32, 32]
    up_weights = sum(9 * a * b + 3 * b for a, b in itertools.pairwise(up))
    heads = 2 * (2048 * 128 + 128) + 128 * 2048 + 2048
    assert count(VanillaVAE((3, 64, 64), **ARTICLE)) == down + heads + up_weights + 9 * 32 * 3 + 3


def test_the_sizes_of_the_decoder_mirror_those_of_the_encoder() -> None:
    model = VanillaVAE((1, 29, 52), latent_dim=2, hidden_channels=[4, 4, 4])
    shapes = []
    for layer in [*model.encoder, *model.decoder]:
        if isinstance(layer, nn.Sequential):
            layer.register_forward_hook(
                lambda _layer, inputs, output: shapes.append((inputs[0].shape[2:], output.shape[2:]))
            )
    model(torch.rand(2, 1, 29, 52), torch.randn(2, 2))
    down, up = shapes[:3], shapes[3:]
    assert down == [((29, 52), (15, 26)), ((15, 26), (8, 13)), ((8, 13), (4, 7))]
    assert up == [(fine, coarse)[::-1] for fine, coarse in reversed(down)]
