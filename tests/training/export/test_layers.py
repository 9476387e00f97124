import torch
from torch import nn

from training.export.layers import flattened, with_batch_norm_folded
from training.models.residual import ResidualBlock


def with_statistics(network: nn.Module) -> nn.Module:
    """Batch norms that do something, in evaluation mode."""
    generator = torch.Generator().manual_seed(0)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for values in (layer.weight, layer.bias, layer.running_mean, layer.running_var):
                values.data.uniform_(0.5, 2, generator=generator)
    return network.eval()


def test_batch_norm_is_folded_inside_residual_blocks_too_and_what_is_given_is_not_changed() -> None:
    block = ResidualBlock(8)
    up = nn.Sequential(nn.ConvTranspose2d(8, 4, 3, stride=2, bias=False), nn.BatchNorm2d(4))
    network = with_statistics(nn.Sequential(nn.Sequential(block, nn.ReLU()), up))
    before = {name: value.clone() for name, value in network.state_dict().items()}

    folded = nn.Sequential(*with_batch_norm_folded(flattened(network)))

    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in folded.modules())
    images = torch.randn(2, 8, 5, 4)
    torch.testing.assert_close(folded(images), network(images))
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in network.modules()) == 3
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name
