import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.checkpoint import as_vae, without_deprecation_warning
from training.export.comparison import compare
from training.export.module import build_module
from training.models import MODELS

SIZES = st.integers(5, 49)


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=15, deadline=None)
@given(st.sampled_from([1, 3]), SIZES, SIZES, st.lists(st.sampled_from([3, 4, 8]), min_size=1, max_size=4))
@example(1, 28, 28, [4, 8, 8])
@example(3, 33, 33, [4, 8, 8])
@example(3, 48, 64, [4, 4, 4, 8, 8])
@example(1, 20, 20, [8])
@example(4, 1, 2, [3])
def test_any_shape_is_encoded_decoded_trained_and_exported(
    name: str, num_channels: int, height: int, width: int, hidden_channels: list[int]
) -> None:
    torch.manual_seed(0)
    given_channels = list(hidden_channels)
    model = MODELS[name]((num_channels, height, width), latent_dim=5, hidden_channels=hidden_channels)
    assert hidden_channels == given_channels

    levels = torch.randint(0, 256, (4, num_channels, height, width), dtype=torch.uint8)
    logits, mu, log_var = model(levels / 255, torch.randn(4, 5))
    assert logits.shape == levels.shape
    assert mu.shape == log_var.shape == (4, 5)

    (logits.square().sum() + mu.square().sum() + log_var.square().sum()).backward()
    without_gradient = [name for name, weight in model.named_parameters() if weight.grad is None]
    assert without_gradient == []
    assert all(bool(torch.isfinite(weight.grad).all()) for weight in model.parameters())

    model.eval()
    with without_deprecation_warning():
        module = torch.jit.script(build_module(model))
    compare(model, as_vae(module), levels)  # raises where they differ
