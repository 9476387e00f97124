"""The importance-weighted bound: -log p(x) from many samples of the posterior, far tighter than the ELBO.

Shapes: N images, B of them at a time, S samples, D latent size.
"""

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch
from torch import Tensor

from training.evaluate.autoencoder import Autoencoder
from training.evaluate.posterior import Posterior
from training.lightning_module import as_unit_range
from training.likelihoods import Likelihood
from training.losses import importance_weighted_nll, log_weights
from training.models.vae import reparametrize

# Pixels decoded before their likelihood is taken: what fits a core's cache, or fills a GPU.
PIXELS_AT_A_TIME = {"cpu": 2**18, "cuda": 2**26}
MIN_LATENTS_AT_A_TIME = 16


class ImportanceSampler:
    """Estimates -log p(x) by -log 1/S sum_s p(x|z_s) p(z_s) / q(z_s|x), z_s drawn from q(z|x).

    In expectation it is an upper bound, tighter with every sample. The samples of an image depend on the
    seed and on its index alone, so images can be taken in any order and at any time.
    Source: Burda, Grosse & Salakhutdinov 2016 (arXiv 1509.00519), equation 8.

    Args:
        autoencoder: What decodes.
        likelihood: What its images are scored with.
        num_samples: S.
        seed: Of the samples.
    """

    def __init__(
        self, autoencoder: Autoencoder, likelihood: Likelihood, *, num_samples: int, seed: int
    ) -> None:
        self.autoencoder = autoencoder
        self.likelihood = likelihood
        self.num_samples = num_samples
        self.seed = seed

    def estimates(
        self, images: Tensor, posterior: Posterior, *, indices: Sequence[int]
    ) -> Generator[tuple[list[int], Tensor]]:
        """Estimates in nats, a few images at a time, on as many threads as PyTorch has been given.

        Args:
            images: uint8 (N, C, H, W).
            posterior: Of these images.
            indices: Which of them to take.

        Yields:
            Indices of the next images, and float64 (B,) of them.
        """
        num_latents = PIXELS_AT_A_TIME.get(images.device.type, PIXELS_AT_A_TIME["cpu"]) // images[0].numel()
        num_latents = max(MIN_LATENTS_AT_A_TIME, num_latents)
        num_images = max(1, num_latents // self.num_samples)
        blocks = [list(indices[start : start + num_images]) for start in range(0, len(indices), num_images)]
        with _threads() as threads:
            nll = threads.map(lambda block: self._nll(images, posterior, block, num_latents), blocks)
            yield from zip(blocks, nll, strict=True)

    @torch.inference_mode()
    def _nll(self, images: Tensor, posterior: Posterior, block: list[int], num_latents: int) -> Tensor:
        mu, log_var = posterior.mu[block], posterior.log_var[block]
        noise = torch.stack([self._noise(index, mu) for index in block], dim=1)
        z = reparametrize(mu, log_var, noise)
        pixels = as_unit_range(images[block])
        parts = z.split(max(1, num_latents // len(block)))
        distortion = torch.cat([self._distortion(pixels, part) for part in parts])
        weights = log_weights(distortion.double(), log_var.double(), z=z.double(), noise=noise.double())
        return importance_weighted_nll(weights).cpu()

    def _noise(self, index: int, mu: Tensor) -> Tensor:
        """Standard normal (S, D) of one image."""
        generator = torch.Generator().manual_seed((self.seed << 32) + index)
        return torch.randn(self.num_samples, mu.shape[1], generator=generator).to(mu.device)

    def _distortion(self, pixels: Tensor, z: Tensor) -> Tensor:
        """-log p(x|z), (S, B), of images (B, C, H, W) in [0, 1] and latents (S, B, D)."""
        logits = self.autoencoder.decode_logits(z.flatten(0, 1)).float()
        nll: Tensor = self.likelihood(pixels, logits.unflatten(0, z.shape[:2]))
        return nll


@contextmanager
def _threads() -> Iterator[ThreadPoolExecutor]:
    """Threads of one core each: on a busy machine several times as fast as cores that wait for each other."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    threads = ThreadPoolExecutor(num_threads)
    try:
        yield threads
    finally:
        threads.shutdown(cancel_futures=True)
        torch.set_num_threads(num_threads)
