"""The mixture of Gaussians that a checkpoint may hold as its prior, fitted to the latents after training.

Ex-post density estimation: Ghosh et al. 2020, "From variational to deterministic autoencoders"
(arXiv 1903.12436), section 4.

Shapes: K components, N images, D latent size.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from service.errors import InvalidCheckpoint
from service.metadata import Metadata

# How far the weights' sum may be from 1: that of ten thousand float32 numbers that were divided by theirs.
MAX_SUM_ERROR = 1e-4

Array = npt.NDArray[Any]
Float64Array = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Mixture:
    """p(z) = sum_k weights[k] N(z; means[k], factors[k] factors[k]^T).

    Attributes:
        weights: float32 (K,), not negative, summing to 1.
        means: float32 (K, D).
        factors: float32 (K, D, D), lower triangular with a positive diagonal.
    """

    weights: npt.NDArray[np.float32]
    means: npt.NDArray[np.float32]
    factors: npt.NDArray[np.float32]

    def place(self, noise: Array, uniform: Array, *, temperature: float = 1.0) -> npt.NDArray[np.float32]:
        """Turn noise into latents: z = means[k] + temperature * factors[k] @ noise, k by its weight.

        Row i of the result depends on row i of the arguments alone, to the last bit: it is computed alone.

        Args:
            noise: Standard normal, float32 (N, D).
            uniform: In (0, 1), (N,); chooses the component.
            temperature: Factor on the standard deviation within a component.

        Returns:
            float32 (N, D).
        """
        bounds = np.cumsum(self.weights, dtype=np.float64)
        components = np.searchsorted(bounds[:-1] / bounds[-1], uniform, side="right")
        z = np.empty(noise.shape, np.float32)
        for row, k in enumerate(components):
            # Not `@`, whose order of additions may depend on the number of threads.
            z[row] = self.means[k] + np.float32(temperature) * np.vecdot(self.factors[k], noise[row])
        return z

    @functools.cached_property
    def _inverses(self) -> Float64Array:
        """Those of the factors, (K, D, D)."""
        return np.linalg.inv(self.factors.astype(np.float64))

    @functools.cached_property
    def _log_heights(self) -> Float64Array:
        """log(weight / sqrt(det(2 pi covariance))) of each component, (K,)."""
        diagonals = np.diagonal(self.factors, axis1=1, axis2=2).astype(np.float64)
        with np.errstate(divide="ignore"):  # a component may have no weight
            log_weights = np.log(self.weights, dtype=np.float64)
        heights: Float64Array = log_weights - np.log(diagonals * math.sqrt(2 * math.pi)).sum(axis=1)
        return heights

    def log_density(self, z: Float64Array) -> Float64Array:
        """log p(z) in nats, (N,), of latents (N, D); each row by itself, as in place."""
        densities = np.empty(len(z))
        for row, latent in enumerate(z):
            noise = np.vecdot(self._inverses, (latent - self.means)[:, None, :])
            logs = self._log_heights - 0.5 * np.square(noise).sum(axis=1)
            densities[row] = logs.max() + np.log(np.exp(logs - logs.max()).sum())
        return densities


def log_density(z: Float64Array, mixture: Mixture | None) -> Float64Array:
    """log p(z) in nats, (N,), of latents (N, D); None is the standard normal."""
    if mixture is not None:
        return mixture.log_density(z)
    density: Float64Array = -0.5 * (np.square(z) + math.log(2 * math.pi)).sum(axis=1)
    return density


def read_prior(module: torch.jit.ScriptModule, metadata: Metadata) -> Mixture | None:
    """The mixture in a module's buffers prior_weights, prior_means and prior_factors, checked.

    Returns:
        None where metadata.prior says that the prior is the standard normal.

    Raises:
        InvalidCheckpoint: Naming the buffer that is missing or wrong.
    """
    if metadata.prior == "standard":
        return None
    buffers = {name: tensor for name, tensor in module.named_buffers() if "." not in name}
    weights = _read(buffers, "prior_weights", "K")
    means = _read(buffers, "prior_means", "KD")
    factors = _read(buffers, "prior_factors", "KDD")
    latent_dim = metadata.latent_dim
    if means.shape != (len(weights), latent_dim):
        raise _wrong("prior_means", f"has the shape {means.shape}, expected {(len(weights), latent_dim)}")
    if factors.shape != (*means.shape, latent_dim):
        raise _wrong("prior_factors", f"has the shape {factors.shape}, expected {(*means.shape, latent_dim)}")
    total = float(weights.sum(dtype=np.float64))
    if not weights.min() >= 0 or abs(total - 1) > MAX_SUM_ERROR:
        raise _wrong("prior_weights", f"must be at least 0 and sum to 1, they sum to {total:.6g}")
    if np.triu(factors, 1).any() or not (np.diagonal(factors, axis1=1, axis2=2) > 0).all():
        raise _wrong(
            "prior_factors", "must be lower triangular with a positive diagonal, as Cholesky factors are"
        )
    return Mixture(weights, means, factors)


def _read(buffers: Mapping[str, torch.Tensor], name: str, axes: str) -> npt.NDArray[np.float32]:
    """A buffer with so many axes as an array of at least one number, all of them finite."""
    if name not in buffers:
        raise _wrong(name, "is not there, though metadata.prior is fitted")
    tensor = buffers[name].detach()
    if tensor.dtype != torch.float32 or tensor.ndim != len(axes) or not tensor.numel():
        found = f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
        raise _wrong(name, f"is {found}, expected float32 ({', '.join(axes)})")
    array: npt.NDArray[np.float32] = tensor.cpu().contiguous().numpy().copy()
    if not np.isfinite(array).all():
        raise _wrong(name, "must hold finite numbers only")
    return array


def _wrong(name: str, problem: str) -> InvalidCheckpoint:
    return InvalidCheckpoint(f"module.{name}", problem)
