"""Every network is exported as the same function, in a file that a service accepts."""

from pathlib import Path

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

from service.checkpoint import load
from tests import tiny_vae
from training.export.comparison import compare
from training.export.module import build_module
from training.models import MODELS
from training.models.vae import VAE

TINY = {"vanilla": [4, 8], "residual": [8, 16], "mlp": [12, 6]}


def network(name: str, image_shape: tuple[int, int, int], hidden_channels: list[int]) -> VAE:
    """An untrained network, its batch norms with statistics of a few images."""
    torch.manual_seed(0)
    model = MODELS[name](image_shape, latent_dim=5, hidden_channels=hidden_channels)
    for _ in range(3):
        model(torch.rand(4, *image_shape), torch.randn(4, 5))
    return model.eval()


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=5, deadline=None)
@given(
    st.tuples(st.sampled_from([1, 2, 3, 4]), st.integers(2, 50), st.integers(2, 50)),
    st.lists(st.sampled_from([3, 4, 8]), min_size=1, max_size=4),
)
@example((1, 28, 28), [8])
@example((3, 48, 64), [4, 4, 8])
@example((2, 33, 30), [4, 8])
def test_any_shape_is_exported_as_the_same_function(
    name: str, image_shape: tuple[int, int, int], hidden_channels: list[int]
) -> None:
    model = network(name, image_shape, hidden_channels)
    module = tiny_vae.scripted(build_module(model))
    compare(
        model, module, torch.randint(0, 256, (4, *image_shape), dtype=torch.uint8)
    )  # raises where they differ


@pytest.mark.parametrize("name", MODELS)
def test_no_batch_norm_and_no_shuffle_is_left(name: str) -> None:
    module = build_module(network(name, (3, 16, 16), TINY[name]))
    slow = nn.BatchNorm2d | nn.PixelShuffle | nn.PixelUnshuffle
    assert [layer for layer in module.modules() if isinstance(layer, slow)] == []


@pytest.mark.parametrize("name", MODELS)
def test_a_service_loads_what_is_saved(name: str, tmp_path: Path) -> None:
    model = network(name, (3, 18, 16), TINY[name])
    module = build_module(model)
    path = tiny_vae.save(tmp_path / "model.pt", module=module, image_shape=(3, 18, 16), latent_dim=5)

    loaded = load(path).module  # compares its golden values

    z = torch.randn(3, 5)
    assert loaded.decode(z).dtype == torch.uint8
    assert loaded.decode_logits(z).dtype == torch.float32
    with torch.no_grad():
        torch.testing.assert_close(loaded.decode_logits(z), model.decode_logits(z), rtol=1e-4, atol=1e-5)


def test_logits_are_float32_in_lower_precision_too() -> None:
    model = network("residual", (1, 16, 16), TINY["residual"])
    module = build_module(model).to(torch.bfloat16)
    z = torch.randn(3, 5)
    with torch.no_grad():
        logits = module.decode_logits(z)
        assert logits.dtype == torch.float32
        torch.testing.assert_close(logits, model.decode_logits(z), rtol=0.05, atol=0.05)


def test_log_var_is_kept_within_the_limits_that_it_was_trained_with() -> None:
    model = network("residual", (1, 8, 8), [4])
    with torch.no_grad():
        model.log_var.bias.fill_(1000.0)
    _, log_var = build_module(model).encode(torch.zeros(2, 1, 8, 8, dtype=torch.uint8))
    assert log_var.unique().tolist() == [4.0]
