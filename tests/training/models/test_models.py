"""Every network, at every size."""

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.scripted import without_deprecation_warning
from training.models import MODELS
from training.models.vae import reparametrize


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=6, deadline=None)
@given(
    st.tuples(st.sampled_from([1, 2, 3, 4]), st.integers(1, 70), st.integers(1, 70)),
    st.lists(st.sampled_from([3, 4, 16]), min_size=1, max_size=5),
)
@example((1, 28, 28), [8])
@example((3, 64, 64), [4, 8, 16])
@example((2, 33, 48), [4, 8])
@example((4, 1, 2), [3])
def test_any_shape_is_encoded_decoded_scripted_and_trained(
    name: str, image_shape: tuple[int, int, int], hidden_channels: list[int]
) -> None:
    torch.manual_seed(0)
    given_channels = list(hidden_channels)
    model = MODELS[name](image_shape, latent_dim=5, hidden_channels=hidden_channels)
    assert hidden_channels == given_channels
    assert model.image_shape == image_shape

    images, noise = torch.rand(2, *image_shape), torch.randn(2, 5)
    logits, mu, log_var = model(images, noise)
    assert logits.shape == images.shape
    assert mu.shape == log_var.shape == (2, 5)

    (logits.square().sum() + mu.square().sum() + log_var.square().sum()).backward()
    without_gradient = [name for name, weight in model.named_parameters() if weight.grad is None]
    assert without_gradient == []
    assert all(bool(torch.isfinite(weight.grad).all()) for weight in model.parameters())

    model.eval()
    with without_deprecation_warning():
        scripted = torch.jit.script(model)
    torch.testing.assert_close(scripted(images, noise), model(images, noise))
    torch.testing.assert_close(scripted.encode(images), model.encode(images))
    torch.testing.assert_close(scripted.decode_logits(noise), model.decode_logits(noise))


@pytest.mark.parametrize("name", ["residual", "mlp"])
def test_a_single_tiny_image_is_a_training_batch(name: str) -> None:
    model = MODELS[name]((1, 1, 1), latent_dim=2, hidden_channels=[4, 4, 4])
    logits, _, _ = model(torch.rand(1, 1, 1, 1), torch.randn(1, 2))
    assert bool(torch.isfinite(logits).all())


def test_the_articles_network_says_that_one_value_a_channel_is_too_few() -> None:
    model = MODELS["vanilla"]((1, 2, 2), latent_dim=2, hidden_channels=[4])
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        model(torch.rand(1, 1, 2, 2), torch.randn(1, 2))


def test_reparametrized_noise_has_the_posteriors_moments() -> None:
    mu, log_var = torch.full((20_000, 1), 3.0), torch.full((20_000, 1), 0.25).log()
    z = reparametrize(mu, log_var, torch.randn(20_000, 1, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(z.mean(), torch.tensor(3.0), atol=0.02, rtol=0)
    torch.testing.assert_close(z.std(), torch.tensor(0.5), atol=0.02, rtol=0)
