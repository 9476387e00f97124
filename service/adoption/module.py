"""The module that is put around one from elsewhere, so that it keeps the checkpoint's contract.

Shapes: B batch, C channels, H height, W width, D latent size.
"""

import dataclasses
import math

import torch
from torch import Tensor, nn

from service.scripted import without_deprecation_warning

PixelRange = tuple[float, float]

# A mean of exactly 0 or 1 has no logit: it is taken for one so close to it.
SMALLEST_MEAN = 1e-6


@dataclasses.dataclass(frozen=True)
class Form:
    """How a module from elsewhere takes and gives images and latents.

    Attributes:
        image_shape: (C, H, W).
        latent_shape: Of one latent, (D,) or such as (4, 8, 8).
        takes_rows: Whether encode takes images as (B, C H W).
        pixel_range: What black and white are to it; None where its pixels are uint8, as the contract's.
    """

    image_shape: tuple[int, int, int]
    latent_shape: tuple[int, ...]
    takes_rows: bool
    pixel_range: PixelRange | None

    @property
    def latent_dim(self) -> int:
        """Numbers in a latent, D."""
        return math.prod(self.latent_shape)


class AdoptedVAE(nn.Module):
    """Keeps the contract of service.checkpoint with the encode and decode of another module.

    Args:
        vae: Scripted; its encode gives mu and log_var as a list or a tuple, its decode floats.
        form: Of them, with a range of pixels.
    """

    def __init__(self, vae: torch.jit.ScriptModule, form: Form) -> None:
        super().__init__()
        assert form.pixel_range is not None
        num_channels, height, width = form.image_shape
        self.vae = vae
        self.black, white = form.pixel_range
        self.span = white - self.black
        self.smallest_mean = SMALLEST_MEAN
        self.input_shape = [-1, math.prod(form.image_shape)] if form.takes_rows else [-1, *form.image_shape]
        self.image_shape = [-1, num_channels, height, width]
        self.latent_shape = [-1, *form.latent_shape]
        self.dtype_of_weights: Tensor
        self.register_buffer("dtype_of_weights", torch.zeros(()))

    @torch.jit.export
    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior mu and log_var, float32 (B, D), of uint8 images (B, C, H, W)."""
        pixels = images.to(self.dtype_of_weights.dtype) * (self.span / 255.0) + self.black
        posterior = self.vae.encode(pixels.reshape(self.input_shape))
        mu = posterior[0].flatten(1).to(torch.float32)
        log_var = posterior[1].flatten(1).to(torch.float32)
        return mu.contiguous(), log_var.contiguous()

    @torch.jit.export
    def decode(self, z: Tensor) -> Tensor:
        """Images, uint8 (B, C, H, W), of latents (B, D)."""
        return self.means(z).mul(255.0).round().clamp(0.0, 255.0).to(torch.uint8)

    @torch.jit.export
    def decode_logits(self, z: Tensor) -> Tensor:
        """Logits, float32 (B, C, H, W), of the pixels' means in [0, 1], of latents (B, D)."""
        return torch.logit(self.means(z), eps=self.smallest_mean)

    @torch.jit.export
    def means(self, z: Tensor) -> Tensor:
        """What it decodes to, black being 0 and white 1, float32 (B, C, H, W)."""
        pixels: Tensor = self.vae.decode(z.to(self.dtype_of_weights.dtype).reshape(self.latent_shape))
        return ((pixels.to(torch.float32) - self.black) / self.span).reshape(self.image_shape)


def adopted_module(module: torch.jit.ScriptModule, form: Form) -> torch.jit.ScriptModule:
    """A module that keeps the contract: the one from elsewhere where it does, else one around it."""
    if form.pixel_range is None:
        return module
    with without_deprecation_warning():
        scripted: torch.jit.ScriptModule = torch.jit.script(AdoptedVAE(module, form).eval())
    return scripted
