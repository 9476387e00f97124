"""The smallest VAE that keeps the checkpoint contract; every answer can be computed by hand.

Images are 3x8x8, latents have 4 numbers, one for each quadrant (top left, top right, bottom left,
bottom right). Everything is linear:

    decode: channel c of quadrant k is 128 + GAINS[c] * z[k], rounded half to even, clamped to 0..255
    encode: mu[k] is (mean of red over quadrant k - 128) / GAINS[0], log_var[k] is -1 - k
"""

import datetime
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from service import checkpoint
from service.metadata import Metadata, Preprocessing, Provenance
from service.scripted import Float32Array, UInt8Array, without_deprecation_warning

IMAGE_SHAPE = (3, 8, 8)
LATENT_DIM = 4
GAINS = (32.0, 16.0, -32.0)
LOG_VAR = (-1.0, -2.0, -3.0, -4.0)
NAME = "tiny"
LIKELIHOOD_SCALE = 0.125
# The mixture of the variant with a fitted prior: 3 components of 4 latents.
PRIOR_WEIGHTS = np.array([0.5, 0.125, 0.375], np.float32)
PRIOR_MEANS = np.array([[1, 0, -1, 2], [-2, -2, 0.5, 0], [0, 1.5, 1, -1]], np.float32)
PRIOR_FACTORS = np.array(
    [
        np.diag([0.5, 0.25, 1, 0.75]),
        [[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0, -0.25, 0.75, 0], [0.25, 0, 0.5, 0.25]],
        [[0.25, 0, 0, 0], [-0.5, 1, 0, 0], [0, 0, 0.5, 0], [1, 0.5, 0, 0.5]],
    ],
    np.float32,
)


class TinyVAE(nn.Module):
    """The module that is scripted."""

    def __init__(self) -> None:
        super().__init__()
        quadrants = quadrant_masks()
        gains = np.array(GAINS).reshape(1, 3, 1, 1)
        self.decode_weight = nn.Parameter(
            torch.from_numpy((quadrants[:, None] * gains).reshape(4, -1)).float()
        )
        self.encode_weight = nn.Parameter(torch.from_numpy(quadrants.reshape(4, -1).T.copy()).float())
        self.register_buffer("log_var", torch.tensor(LOG_VAR))

    @torch.jit.export
    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The mean of red in each quadrant, and constants."""
        red = images[:, 0].flatten(1).to(self.encode_weight.dtype)
        mu = ((red @ self.encode_weight).float() / 16.0 - 128.0) / 32.0
        return mu, self.log_var.float().expand(mu.size(0), 4).contiguous()

    @torch.jit.export
    def decode(self, z: Tensor) -> Tensor:
        """Four quadrants of flat colour."""
        pixels = (z.to(self.decode_weight.dtype) @ self.decode_weight).float() + 128.0
        return pixels.round().clamp(0.0, 255.0).to(torch.uint8).view(-1, 3, 8, 8)


class LogitsVAE(TinyVAE):
    """The same, which also says what it rounds: logits of 128 + GAINS[c] * z[k], clamped to 0..255."""

    @torch.jit.export
    def decode_logits(self, z: Tensor) -> Tensor:
        """Four quadrants of flat colour."""
        pixels = (z.to(self.decode_weight.dtype) @ self.decode_weight).float() + 128.0
        return torch.logit(pixels / 255.0, eps=1e-6).view(-1, 3, 8, 8)


class FittedVAE(TinyVAE):
    """The same, with a fitted prior.

    Args:
        changes: Buffers to put in the place of prior_weights, prior_means or prior_factors; None for none.
    """

    def __init__(self, **changes: np.ndarray | None) -> None:
        super().__init__()
        own = {"weights": PRIOR_WEIGHTS, "means": PRIOR_MEANS, "factors": PRIOR_FACTORS}
        for name, array in {**own, **changes}.items():
            if array is not None:
                self.register_buffer(f"prior_{name}", torch.from_numpy(array))


def quadrant_masks() -> np.ndarray:
    """One 8x8 mask of ones for each quadrant: (4, 8, 8)."""
    masks = np.zeros((4, 8, 8))
    for k in range(4):
        top, left = 4 * (k // 2), 4 * (k % 2)
        masks[k, top : top + 4, left : left + 4] = 1
    return masks


def decoded(z: Float32Array) -> UInt8Array:
    """What latents (N, 4) must decode to: uint8 (N, 8, 8, 3), by the formula above."""
    z = np.asarray(z, np.float32)
    quadrants = np.stack([np.float32(128) + np.float32(gain) * z for gain in GAINS], axis=-1)
    pixels = np.clip(np.rint(quadrants), 0, 255).astype(np.uint8).reshape(-1, 2, 2, 3)
    return pixels.repeat(4, axis=1).repeat(4, axis=2)


def encoded_mu(images: UInt8Array) -> Float32Array:
    """What images (N, 8, 8, 3) must encode to: float32 (N, 4), by the formula above."""
    red = np.asarray(images)[..., 0].astype(np.float64).reshape(-1, 2, 4, 2, 4)
    return ((red.mean(axis=(2, 4)).reshape(-1, 4) - 128.0) / 32.0).astype(np.float32)


def scripted(module: nn.Module | None = None) -> torch.jit.ScriptModule:
    """The module, or another one, as TorchScript."""
    with without_deprecation_warning():
        return torch.jit.script((module or TinyVAE()).eval())


def metadata(**changes: object) -> Metadata:
    """Metadata that fits the module, with `changes` to its fields."""
    provenance = Provenance(
        dataset="none",
        num_training_images=1,
        preset="tiny",
        command="by hand",
        config={},
        epochs=0,
        steps=0,
        torch_version=torch.__version__,
    )
    fields = {
        "name": NAME,
        "created_at": datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC),
        "architecture": "linear",
        "image_shape": IMAGE_SHAPE,
        "latent_dim": LATENT_DIM,
        "preprocessing": Preprocessing(crop="square"),
        "likelihood": "gaussian",
        "likelihood_scale": LIKELIHOOD_SCALE,
        "provenance": provenance,
        "quality": {"elbo": -1.5},
        "export_difference": {"mu": 0.0},
    }
    return Metadata.model_validate({**fields, **changes})


def save(path: Path, *, module: nn.Module | None = None, **changes: object) -> Path:
    """Write the tiny checkpoint, or one of another module, with `changes` to its metadata."""
    checkpoint.save(path, scripted(module), metadata(**changes))
    return path
