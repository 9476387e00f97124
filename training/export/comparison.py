"""Does the exported module compute what the trained network does? Measured on real images."""

import torch
from torch import Tensor

from training.errors import ExportError
from training.export.module import ExportedVAE
from training.lightning_module import as_unit_range
from training.models.vae import VAE

LARGEST_DIFFERENCES = {"mu": 1e-3, "log_var": 1e-3, "logits": 1e-3, "pixels": 1}


@torch.no_grad()
def compare(model: VAE, module: ExportedVAE | torch.jit.ScriptModule, images: Tensor) -> dict[str, float]:
    """Largest differences over uint8 images (N, C, H, W): of mu, log_var, logits and of pixels in levels.

    Both decode the eager network's mu, and as many latents of the standard normal prior. Logits beyond -1 and
    1 are compared relative to their size.

    Raises:
        ExportError: mu, log_var or logits differ by more than 1e-3, or a pixel by more than one level.
    """
    mu, log_var = model.encode(as_unit_range(images))
    exported_mu, exported_log_var = module.encode(images)
    z = torch.cat([mu, torch.randn(mu.shape, generator=torch.Generator().manual_seed(0))])
    logits = model.decode_logits(z)
    pixels = (torch.sigmoid(logits) * 255).round()
    difference = {
        "mu": float((exported_mu - mu).abs().max()),
        "log_var": float((exported_log_var - log_var).abs().max()),
        "logits": float(((module.decode_logits(z) - logits) / logits.abs().clamp(min=1)).abs().max()),
        "pixels": float((module.decode(z) - pixels).abs().max()),
    }
    for name, largest in difference.items():
        if not largest <= LARGEST_DIFFERENCES[name]:
            raise ExportError(
                f"the exported module differs from the trained network in {name} by {largest:g}"
            )
    return difference
