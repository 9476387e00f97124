"""Golden values: what a checkpoint's module gave when it was exported, and how far from it another may be.

Shapes: K golden values, C channels, H height, W width, D latent size.
"""

import dataclasses
import io

import numpy as np
import torch
from torch import Tensor

from service.errors import InvalidCheckpoint
from service.metadata import Metadata
from service.scripted import RUN_ERRORS, Float32Array, UInt8Array, VAEModule, last_line
from service.trust.arrays import read_arrays

# What another kind of machine, or a lower precision, may change: levels of 255, and units of mu and log_var.
MAX_PIXEL_DIFFERENCE = 2
MAX_MEAN_PIXEL_DIFFERENCE = 0.5
MAX_LATENT_DIFFERENCE = 1e-2


@dataclasses.dataclass(frozen=True)
class Golden:
    """Latents with the images that they must decode to, and these images with what they must encode to.

    The images are decoded ones, so that no picture of the training data travels in a checkpoint.

    Attributes:
        z: float32 (K, D).
        images: uint8 (K, C, H, W), the decoded z.
        mu: float32 (K, D), of the images.
        log_var: float32 (K, D), of the images.
    """

    z: Float32Array
    images: UInt8Array
    mu: Float32Array
    log_var: Float32Array

    @classmethod
    def measured(cls, module: VAEModule, z: Tensor) -> "Golden":
        """The golden values of a module at latents z, float32 (K, D)."""
        with torch.inference_mode():
            images = module.decode(z)
            mu, log_var = module.encode(images)
        return cls(z.numpy(), images.contiguous().cpu().numpy(), mu.cpu().numpy(), log_var.cpu().numpy())

    @classmethod
    def read(cls, npz: bytes, metadata: Metadata) -> "Golden":
        """The golden values in a file of numpy's, of the shapes that the metadata say.

        Raises:
            ValueError: It cannot be read, or lacks one.
            InvalidCheckpoint: One has another shape; its field is named.
        """
        golden = cls(**read_arrays(npz, [field.name for field in dataclasses.fields(cls)]))
        golden.check_shapes(metadata)
        return golden

    def write(self) -> bytes:
        """As a file of numpy's."""
        npz = io.BytesIO()
        np.savez(npz, **dataclasses.asdict(self))
        return npz.getvalue()

    def check_shapes(self, metadata: Metadata) -> None:
        """Raise InvalidCheckpoint, naming the field, where an array is not what the metadata say."""
        num = len(self.z) if self.z.ndim else 0
        latents = (np.float32, (num, metadata.latent_dim))
        images = (np.uint8, (num, *metadata.image_shape))
        expected = {"z": latents, "images": images, "mu": latents, "log_var": latents}
        for name, (dtype, shape) in expected.items():
            array = getattr(self, name)
            if array.dtype != dtype or array.shape != shape or num == 0:
                found = f"{array.dtype} {array.shape}, expected {np.dtype(dtype)} {shape}"
                raise InvalidCheckpoint(f"golden.{name}", f"{found} from metadata.image_shape and latent_dim")

    def check(self, module: VAEModule, metadata: Metadata) -> None:
        """Raise InvalidCheckpoint, saying how, where a module does not give these values."""
        try:
            measured = Golden.measured(module, torch.from_numpy(self.z))
        except RUN_ERRORS as error:
            raise InvalidCheckpoint(
                "module", f"fails on its own golden values: {last_line(error)}"
            ) from error
        measured.check_shapes(metadata)
        difference = self.pixel_difference(measured.images)
        difference = difference or self.latent_difference(measured.mu, measured.log_var)
        if difference is not None:
            raise InvalidCheckpoint("golden", f"{difference} from what was stored when it was exported")

    def pixel_difference(self, images: UInt8Array) -> str | None:
        """Say how far decoded images, uint8 (K, C, H, W), are out of tolerance; None where they agree."""
        levels = np.abs(self.images.astype(np.int16) - images)
        if levels.max() > MAX_PIXEL_DIFFERENCE or levels.mean() > MAX_MEAN_PIXEL_DIFFERENCE:
            return f"decoded pixels differ by up to {levels.max()} levels, {levels.mean():.3f} on average"
        return None

    def latent_difference(self, mu: Float32Array, log_var: Float32Array) -> str | None:
        """Say how far encoded images, float32 (K, D) each, are out of tolerance; None where they agree."""
        for name, values in {"mu": mu, "log_var": log_var}.items():
            largest = float(np.abs(getattr(self, name) - values).max())
            if not largest <= MAX_LATENT_DIFFERENCE:
                return f"{name} differs by up to {largest:.4f}"
        return None
