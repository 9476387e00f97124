"""A loaded checkpoint in batches, and what it makes of the images that a report is on.

Shapes: N images, C channels, H height, W width, D latent size.
"""

import dataclasses
import functools
from collections.abc import Iterable, Sequence

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from service.checkpoint import Checkpoint
from service.scripted import as_vae
from training.losses import active_units, unit_kl

BATCH_SIZE = 64
MIN_IMAGES_FOR_PROGRESS = 500


@dataclasses.dataclass(frozen=True)
class Observations:
    """Images with what the network makes of them.

    Attributes:
        images: uint8 (N, C, H, W).
        mu: float32 (N, D).
        log_var: float32 (N, D).
        reconstructions: uint8 (N, C, H, W), decoded from mu.
    """

    images: Tensor
    mu: Tensor
    log_var: Tensor
    reconstructions: Tensor

    @functools.cached_property
    def mse(self) -> Tensor:
        """Mean squared error of each image's pixels in [0, 1]: float32 (N,)."""
        pairs = zip(self.images.split(BATCH_SIZE), self.reconstructions.split(BATCH_SIZE), strict=True)
        return torch.cat([_mse(images, reconstructions) for images, reconstructions in pairs])

    @functools.cached_property
    def unit_kl(self) -> Tensor:
        """Mean KL divergence of each unit's posterior from the standard normal, in nats: (D,)."""
        return unit_kl(self.mu, self.log_var).mean(dim=0)

    @functools.cached_property
    def variance(self) -> Tensor:
        """Var(mu_d) of each unit over the images: (D,)."""
        return self.mu.var(dim=0, correction=0)

    @property
    def active(self) -> Tensor:
        """Whether the mean of a unit varies, (D,)."""
        return active_units(self.mu)

    @property
    def deviation(self) -> Tensor:
        """Standard deviation of each unit over all images, (D,): sqrt(Var(mu_d) + mean of exp(log_var_d))."""
        return (self.variance + self.log_var.exp().mean(dim=0)).sqrt()


class Network:
    """The module of a loaded checkpoint, on the CPU."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._module = checkpoint.module
        self.image_shape = checkpoint.metadata.image_shape

    def observe(self, images: Tensor) -> Observations:
        """Encode uint8 images (N, C, H, W) and decode their mu; a bar shows how far it is."""
        vae, parts = as_vae(self._module), []
        with torch.inference_mode():
            for batch in _with_progress(images.split(BATCH_SIZE), num_images=len(images)):
                mu, log_var = vae.encode(batch)
                parts.append((mu, log_var, vae.decode(mu)))
        return Observations(images, *(torch.cat(part).clone() for part in zip(*parts, strict=True)))

    def decode(self, z: Tensor) -> Tensor:
        """uint8 (N, C, H, W) of latents (N, D)."""
        with torch.inference_mode():
            return torch.cat([as_vae(self._module).decode(batch) for batch in z.split(BATCH_SIZE)])


def _with_progress(batches: Sequence[Tensor], *, num_images: int) -> Iterable[Tensor]:
    console = Console(stderr=True)
    if num_images < MIN_IMAGES_FOR_PROGRESS or not console.is_terminal:
        return batches
    return track(batches, f"Encoding and decoding {num_images} images", console=console, transient=True)


def _mse(images: Tensor, reconstructions: Tensor) -> Tensor:
    return ((images.float() - reconstructions.float()) / 255).square().flatten(1).mean(dim=1)
