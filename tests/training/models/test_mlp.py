import torch
from torch import nn

from training.models.mlp import MLPVAE


def test_the_papers_network_has_the_papers_layers() -> None:
    model = MLPVAE((1, 28, 28), latent_dim=50, hidden_channels=(200, 200))
    linears = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    sizes = [(layer.in_features, layer.out_features) for layer in linears]
    encoder, heads, decoder = sizes[:2], sizes[2:4], sizes[4:]
    assert encoder == [(784, 200), (200, 200)]
    assert heads == [(200, 50), (200, 50)]
    assert decoder == [(50, 200), (200, 200), (200, 784)]
    assert sum(isinstance(layer, nn.Tanh) for layer in model.modules()) == 4


def test_weights_start_within_the_bounds_of_glorot_and_bengio() -> None:
    weight = MLPVAE((1, 28, 28), latent_dim=50, hidden_channels=(200, 200)).encoder[1][0].weight.detach()
    bound = (6 / (784 + 200)) ** 0.5
    assert float(weight.abs().max()) <= bound
    torch.testing.assert_close(float(weight.std()), bound / 3**0.5, rtol=0.01, atol=0)
