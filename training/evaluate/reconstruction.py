"""How near reconstructions come to their images: squared error, PSNR and multi-scale structural similarity.

Shapes: N images, C channels, H height, W width.
"""

import torch
from torch import Tensor
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from training.errors import NotComputable
from training.evaluate.autoencoder import Autoencoder
from training.evaluate.posterior import BATCH_SIZE
from training.lightning_module import as_unit_range

# Of the five scales of Wang, Simoncelli & Bovik 2003, table 1; fewer of them are made to add up to 1 again.
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW = 11  # pixels, of the Gaussian window; the coarsest scale has to hold one
LARGEST_PSNR = 100.0  # decibels: of images that agree to the last digit


def reconstructions(autoencoder: Autoencoder, mu: Tensor) -> Tensor:
    """The pixels' means in [0, 1], float32 (N, C, H, W), of posterior means (N, D)."""
    return torch.cat([torch.sigmoid(autoencoder.decode_logits(z)) for z in mu.split(BATCH_SIZE)])


def squared_errors(images: Tensor, means: Tensor) -> Tensor:
    """Mean squared error of each image, (N,), of uint8 images and means in [0, 1]."""
    parts = zip(images.split(BATCH_SIZE), means.split(BATCH_SIZE), strict=True)
    return torch.cat([(as_unit_range(image) - mean).square().mean(dim=(1, 2, 3)) for image, mean in parts])


def psnr(squared_errors: Tensor) -> Tensor:
    """Peak signal to noise ratio of each image in decibels: -10 log10(MSE), at most 100."""
    return (-10 * torch.log10(squared_errors)).clamp_max(LARGEST_PSNR)


def ms_ssim(images: Tensor, means: Tensor) -> tuple[str, Tensor]:
    """Multi-scale structural similarity of each image, (N,), over as many of five scales as it has room for.

    Returns:
        The name of what was computed: `ms_ssim`, `ms_ssim_2_scales` to `ms_ssim_4_scales`, or `ssim`.

    Raises:
        NotComputable: The images are smaller than the window.
    """
    num_scales = count_scales(images.shape[2:])
    weights = SCALE_WEIGHTS[:num_scales]
    betas = tuple(weight / sum(weights) for weight in weights)
    values = [
        multiscale_structural_similarity_index_measure(
            mean, as_unit_range(image), data_range=1.0, betas=betas, reduction="none"
        )
        for image, mean in zip(images.split(BATCH_SIZE), means.split(BATCH_SIZE), strict=True)
    ]
    names = {1: "ssim", len(SCALE_WEIGHTS): "ms_ssim"}
    return names.get(num_scales, f"ms_ssim_{num_scales}_scales"), torch.cat(values)


def count_scales(size: tuple[int, ...]) -> int:
    """Scales, each half of the one before, that images of height and width have room for, 5 at most.

    Raises:
        NotComputable: None.
    """
    side = min(size)
    fitting = [
        num
        for num in range(1, len(SCALE_WEIGHTS) + 1)
        # The second is torchmetrics' own condition.
        if side // 2 ** (num - 1) >= WINDOW and side // max(1, num - 1) ** 2 >= WINDOW
    ]
    if not fitting:
        raise NotComputable(f"structural similarity needs {WINDOW} pixels a side, these images have {side}")
    return fitting[-1]
