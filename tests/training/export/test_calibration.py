import pytest
import torch
from torch import nn

from training.config import Config, build_config
from training.corruption import corrupted
from training.data import load_splits
from training.export.calibration import calibrate
from training.lightning_module import VAETraining, as_unit_range


def test_batch_norm_has_the_statistics_of_the_training_images(tiny_config: Config) -> None:
    training = VAETraining(tiny_config)
    splits = load_splits(tiny_config)
    images = splits.train
    calibrate(training, images, unseen=splits.validation)
    first = training.model.encoder[0]
    convolution, norm = first[0], first[1]
    assert isinstance(norm, nn.BatchNorm2d)
    with torch.no_grad():
        features = convolution(as_unit_range(images))  # one batch, so its own mean and variance
    torch.testing.assert_close(norm.running_mean, features.mean(dim=(0, 2, 3)))
    torch.testing.assert_close(norm.running_var, features.var(dim=(0, 2, 3)))
    assert norm.momentum == pytest.approx(0.1)
    assert not training.model.training


def test_batch_norm_has_the_statistics_of_images_that_are_spoilt_as_in_training(tiny_config: Config) -> None:
    training = VAETraining(build_config(tiny_config.model_dump(), changes={"data.mask": 0.5}))
    splits = load_splits(tiny_config)
    state = torch.random.get_rng_state()
    calibrate(training, splits.train, unseen=splits.validation)
    assert torch.equal(torch.random.get_rng_state(), state)
    convolution, norm = training.model.encoder[0][0], training.model.encoder[0][1]
    torch.manual_seed(0)
    with torch.no_grad():
        features = convolution(corrupted(as_unit_range(splits.train), training.config.data))
    torch.testing.assert_close(norm.running_mean, features.mean(dim=(0, 2, 3)))
    torch.testing.assert_close(norm.running_var, features.var(dim=(0, 2, 3)))


def test_an_optimal_sigma_is_the_root_of_the_mean_squared_error_of_unseen_images(tiny_config: Config) -> None:
    training = VAETraining(build_config(tiny_config.model_dump(), changes={"loss.scale": "optimal"}))
    splits = load_splits(tiny_config)
    with torch.no_grad():
        training.model.log_var.weight.zero_()
        training.model.log_var.bias.fill_(-50.0)  # no noise: z is mu
    calibrate(training, splits.train, unseen=splits.validation)
    pixels = as_unit_range(splits.validation)
    with torch.no_grad():
        mu, _ = training.model.encode(pixels)
        mse = (torch.sigmoid(training.model.decode_logits(mu)) - pixels).square().mean()
    assert training.likelihood.scale() == pytest.approx(mse.sqrt().item(), rel=1e-4)


def test_one_training_image_leaves_batch_norm_as_it_is(tiny_config: Config) -> None:
    training = VAETraining(tiny_config)
    before = {name: value.clone() for name, value in training.model.state_dict().items()}
    splits = load_splits(tiny_config)
    calibrate(training, splits.train[:1], unseen=splits.validation)
    for name, value in training.model.state_dict().items():
        torch.testing.assert_close(value, before[name])
