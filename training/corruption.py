"""Images spoilt on purpose, for a denoising network: it is shown these and has to give back the clean ones.

Shapes: B batch, C channels, H height, W width.
"""

import torch
from torch import Tensor

from training.config import DataConfig


def corrupted(images: Tensor, config: DataConfig) -> Tensor:
    """Images (B, C, H, W) in [0, 1] with Gaussian noise on them and part of their pixels black.

    Source: Vincent et al. 2008, "Extracting and composing robust features with denoising autoencoders".

    Args:
        images: Not changed; the very same tensor comes back where nothing is to be spoilt.
        config: `noise` is the standard deviation, `mask` the probability that a pixel is black.
    """
    if config.noise:
        images = (images + config.noise * torch.randn_like(images)).clamp(0, 1)
    if config.mask:
        batch, _, height, width = images.shape
        images = images * (torch.rand(batch, 1, height, width, device=images.device) >= config.mask)
    return images
