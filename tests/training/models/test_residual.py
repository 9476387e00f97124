import pytest
import torch
from torch import nn

from training.models.residual import ResidualVAE


def maps(image_shape: tuple[int, int, int], hidden_channels: list[int]) -> tuple[list, list]:
    """Shapes (C, H, W) of the maps that the encoder activates, and of what the decoder's shuffles make."""
    model = ResidualVAE(image_shape, latent_dim=2, hidden_channels=hidden_channels).eval()
    encoder, decoder = [], []
    for layer in [*model.encoder, *(layer for stage in model.encoder for layer in stage.children())]:
        if isinstance(layer, nn.ReLU):
            layer.register_forward_hook(lambda _layer, _inputs, output: encoder.append(output.shape[1:]))
    for layer in model.decoder.modules():
        if isinstance(layer, nn.Unflatten | nn.PixelShuffle):
            layer.register_forward_hook(lambda _layer, _inputs, output: decoder.append(output.shape[1:]))
    model(torch.rand(1, *image_shape), torch.randn(1, 2))
    return encoder, decoder


def test_each_stage_halves_a_quarter_of_the_resolution_and_the_decoder_mirrors_it() -> None:
    encoder, decoder = maps((3, 64, 64), [4, 8, 16])
    assert encoder == [(4, 16, 16), (8, 8, 8), (16, 4, 4)]
    assert decoder == [(16, 4, 4), (8, 8, 8), (4, 16, 16), (3, 64, 64)]


def test_sizes_that_are_no_multiple_are_padded() -> None:
    encoder, decoder = maps((1, 28, 30), [4, 8])
    assert encoder == [(4, 8, 8), (8, 4, 4)]
    assert decoder == [(8, 4, 4), (4, 8, 8), (1, 32, 32)]


def test_one_stage_keeps_seven_by_seven_cells_of_28_by_28_pixels() -> None:
    assert maps((1, 28, 28), [4]) == ([(4, 7, 7)], [(4, 7, 7), (1, 28, 28)])


def test_padding_is_the_same_on_both_sides_and_what_is_decoded_is_its_middle() -> None:
    model = ResidualVAE((1, 28, 29), latent_dim=2, hidden_channels=[4, 8])
    padded = model.encoder[0](torch.ones(1, 1, 28, 29))
    assert padded.shape == (1, 1, 32, 32)
    rows, columns = padded[0, 0].nonzero().unbind(1)
    assert (int(rows.min()), int(rows.max())) == (2, 29)
    assert (int(columns.min()), int(columns.max())) == (1, 29)
    assert torch.equal(model.decoder[-1](padded), torch.ones(1, 1, 28, 29))


@pytest.mark.parametrize("num_channels", [1, 3])
def test_at_the_start_every_shuffle_makes_blocks_of_equal_pixels(num_channels: int) -> None:
    model = ResidualVAE((num_channels, 32, 32), latent_dim=3, hidden_channels=[8, 16]).eval()
    with torch.no_grad():
        logits = model.decode_logits(torch.randn(2, 3))
    blocks = logits.unfold(2, 4, 4).unfold(3, 4, 4)
    assert torch.equal(blocks, blocks[..., :1, :1].expand_as(blocks))
    assert float(logits.std()) > 0

    up = nn.Sequential(*list(model.decoder[1])[1:])
    features = up(torch.rand(1, 16, 4, 4))
    blocks = features.unfold(2, 2, 2).unfold(3, 2, 2)
    assert torch.equal(blocks, blocks[..., :1, :1].expand_as(blocks))


def test_log_var_stays_within_its_limits() -> None:
    model = ResidualVAE((1, 8, 8), latent_dim=2, hidden_channels=[4]).eval()
    with torch.no_grad():
        model.log_var.bias.copy_(torch.tensor([-1000.0, 1000.0]))
    _, log_var = model.encode(torch.rand(3, 1, 8, 8))
    assert log_var.unique(dim=0).tolist() == [[-10.0, 4.0]]
