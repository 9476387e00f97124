import numpy as np
import pytest
import torch
from torch.distributions import MultivariateNormal

from training.config import Config, build_config
from training.data import load_splits
from training.export.prior import fit_mixture, register_prior, training_latents
from training.lightning_module import VAETraining


def drawn(num: int, *, seed: int) -> torch.Tensor:
    """Two Gaussians in the plane, a quarter and three quarters."""
    torch.manual_seed(seed)
    first = MultivariateNormal(torch.tensor([4.0, 0.0]), torch.tensor([[1.0, 0.8], [0.8, 1.0]]))
    second = MultivariateNormal(torch.tensor([-4.0, 1.0]), 0.25 * torch.eye(2))
    return torch.cat([first.sample((num // 4,)), second.sample((num - num // 4,))])


def test_a_planted_mixture_is_found_again() -> None:
    mixture = fit_mixture(drawn(20_000, seed=0), num_components=2, seed=0)
    first = int(mixture.means[:, 0].argmax())
    assert mixture.weights[first] == pytest.approx(0.25, abs=0.01)
    np.testing.assert_allclose(mixture.means[first], [4, 0], atol=0.05)
    covariance = mixture.factors[first] @ mixture.factors[first].T
    np.testing.assert_allclose(covariance, [[1, 0.8], [0.8, 1]], atol=0.06)
    assert not np.triu(mixture.factors, 1).any()


def test_few_images_get_fewer_components_and_one_is_always_there() -> None:
    assert len(fit_mixture(drawn(17, seed=1), num_components=10, seed=0).weights) == 4
    for num in (1, 2, 3):
        mixture = fit_mixture(torch.randn(num, 64), num_components=10, seed=0)
        assert len(mixture.weights) == 1
        assert np.isfinite(mixture.factors).all()


def test_latents_are_drawn_from_the_posteriors(tiny_config: Config) -> None:
    training = VAETraining(tiny_config)
    with torch.no_grad():
        training.model.mu.weight.zero_()
        training.model.mu.bias.fill_(3.0)
        training.model.log_var.weight.zero_()
        training.model.log_var.bias.fill_(-2.0)
    z = training_latents(training, load_splits(tiny_config).train.repeat(100, 1, 1, 1))
    assert z.mean().item() == pytest.approx(3.0, abs=0.02)
    assert z.var().item() == pytest.approx(torch.tensor(-2.0).exp().item(), rel=0.05)


def test_the_latents_of_an_autoencoder_are_its_means(tiny_config: Config) -> None:
    config = build_config(tiny_config.model_dump(), changes={"loss.objective": "autoencoder"})
    training = VAETraining(config)
    images = load_splits(config).train
    with torch.no_grad():
        mu, _ = training.eval().model.encode(images.float() / 255)
    torch.testing.assert_close(training_latents(training, images), mu)


def test_a_module_gets_the_mixture_and_nothing_that_was_computed_of_it() -> None:
    mixture = fit_mixture(drawn(100, seed=2), num_components=2, seed=0)
    mixture.log_density(np.zeros((1, 2)))
    module = torch.nn.Module()
    register_prior(module, mixture)
    assert [name for name, _ in module.named_buffers()] == ["prior_weights", "prior_means", "prior_factors"]
    np.testing.assert_array_equal(module.prior_factors, mixture.factors)


def test_of_more_images_than_are_taken_some_are_from_everywhere(
    tiny_config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = VAETraining(build_config(tiny_config.model_dump(), changes={"loss.objective": "autoencoder"}))
    images = torch.randint(0, 256, (9, *tiny_config.data.image_shape), dtype=torch.uint8)
    whole = training_latents(training, images)
    monkeypatch.setattr("training.export.prior.MAX_IMAGES", 5)
    torch.testing.assert_close(training_latents(training, images), whole[[0, 1, 3, 5, 7]])
