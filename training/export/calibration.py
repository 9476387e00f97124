"""What is measured anew once the weights are final: BatchNorm's statistics and the likelihood's sigma.

Both were running means while the weights moved, and an average of weights never had statistics of its own.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from training.corruption import corrupted
from training.lightning_module import VAETraining, as_unit_range, seeded_noise
from training.likelihoods import OptimalGaussianLikelihood

BATCH_SIZE = 256
MAX_IMAGES = 5_120  # beyond it neither figure moves by what counts


@torch.no_grad()
def calibrate(training: VAETraining, images: Tensor, *, unseen: Tensor) -> None:
    """Set the statistics of every BatchNorm layer, and an optimal sigma.

    Sigma is that of images that the network has not learned from: on its own training images, of which it
    knows more than of any other, it would be too small, most of all where these are few.

    Args:
        training: Its model is left in evaluation mode.
        images: Training images, uint8 (N, C, H, W), in any order, binary where the config makes them so:
            BatchNorm gets their statistics once they are spoilt as in training.
        unseen: Validation images, likewise, which are not spoilt.
    """
    _set_statistics(training, _batches(images))
    training.eval()
    if isinstance(training.likelihood, OptimalGaussianLikelihood):
        errors = [_mse(training, batch, seed=seed) for seed, batch in enumerate(_batches(unseen))]
        training.likelihood.variance.copy_(torch.cat(errors).mean())


def _batches(images: Tensor) -> list[Tensor]:
    chosen = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:MAX_IMAGES]
    return [images[part] for part in chosen.sort().values.split(BATCH_SIZE)]


def _set_statistics(training: VAETraining, batches: list[Tensor]) -> None:
    enough = [batch for batch in batches if len(batch) > 1]  # one image has no variance
    if not enough:
        return
    with _fresh_statistics(training.model), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for seed, batch in enumerate(enough):
            _mse(training, batch, seed=seed, is_spoilt=True)


def _mse(training: VAETraining, batch: Tensor, *, seed: int, is_spoilt: bool = False) -> Tensor:
    noise = seeded_noise(1, len(batch), training.config.model.latent_dim, seed=seed)
    images = as_unit_range(batch)
    shown = corrupted(images, training.config.data) if is_spoilt else images
    return training.measure(images, noise=noise, shown=shown).mse


@contextmanager
def _fresh_statistics(network: nn.Module) -> Iterator[None]:
    """BatchNorm layers forget their statistics, and afterwards have the plain mean of those of each batch."""
    layers = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
        layer.train()
    yield
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
        layer.eval()
