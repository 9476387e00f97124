"""Does the exported module compute what the trained network does? Measured on real images."""

import torch
from torch import Tensor

from service.checkpoint import VAEModule
from training.errors import ExportError
from training.lightning_module import as_unit_range
from training.models.vae import VAE

LARGEST_LATENT_DIFFERENCE = 1e-3
LARGEST_PIXEL_DIFFERENCE = 1


@torch.no_grad()
def compare(model: VAE, module: VAEModule, images: Tensor) -> dict[str, float]:
    """Largest differences over uint8 images (N, C, H, W): of mu, of log_var, and of decoded pixels in levels.

    Both decode the eager network's mu, and as many latents of the standard normal prior.

    Raises:
        ExportError: mu or log_var differ by more than 1e-3, or a pixel by more than one level.
    """
    mu, log_var = model.encode(as_unit_range(images))
    exported_mu, exported_log_var = module.encode(images)
    z = torch.cat([mu, torch.randn(mu.shape, generator=torch.Generator().manual_seed(0))])
    pixels = (torch.sigmoid(model.decode_logits(z)) * 255).round()
    difference = {
        "mu": float((exported_mu - mu).abs().max()),
        "log_var": float((exported_log_var - log_var).abs().max()),
        "pixels": float((module.decode(z) - pixels).abs().max()),
    }
    for name, largest in difference.items():
        limit = LARGEST_PIXEL_DIFFERENCE if name == "pixels" else LARGEST_LATENT_DIFFERENCE
        if not largest <= limit:
            raise ExportError(
                f"the exported module differs from the trained network in {name} by {largest:g}"
            )
    return difference
