"""How the training goes, in pictures: fixed images with their reconstructions, and samples of fixed noise."""

import io
from pathlib import Path

import lightning
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from PIL import Image
from torch import Tensor

from service.checkpoint import load
from service.scripted import as_vae
from service.whole_file import write_whole
from training.evaluate.prior import Prior
from training.grids import image_grid, paired_rows, without_alpha
from training.lightning_module import VAETraining, as_unit_range, seeded_noise

NUM_PAIRS = 32
NUM_SAMPLES = 64
COLUMNS = 8


class GridWriter(lightning.Callback):
    """After each validation: `reconstructions-epoch003.png` and `samples-epoch003.png`, and in TensorBoard.

    Levels are the network's own: no contrast is stretched. In the first, each pair of rows shows eight
    images and below them their reconstructions (from mu); in the second, decoded standard normal noise.

    Args:
        folder: Where the PNG files go.
        images: uint8 (N, C, H, W), the first 32 of which are shown, at each validation the same.
    """

    def __init__(self, folder: Path, *, images: Tensor) -> None:
        self.folder = folder
        self.images = images[:NUM_PAIRS]

    def on_validation_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Write the two grids, in the first process only."""
        assert isinstance(pl_module, VAETraining)
        if not trainer.is_global_zero:
            return
        grids = {
            "reconstructions": reconstruction_grid(pl_module, self.images),
            "samples": sample_grid(pl_module),
        }
        for name, grid in grids.items():
            write_grid(self.folder / f"{name}-epoch{trainer.current_epoch:03d}.png", grid)
            for logger in trainer.loggers:
                if isinstance(logger, TensorBoardLogger):
                    logger.experiment.add_image(name, grid, trainer.current_epoch)


@torch.no_grad()
def reconstruction_grid(training: VAETraining, images: Tensor) -> Tensor:
    """uint8 (C, height, width): rows of images, each above the row of their reconstructions."""
    mu, _ = training.model.encode(as_unit_range(images.to(training.device)))
    columns = min(COLUMNS, len(images))
    return image_grid(
        without_alpha(paired_rows(images, _decoded(training, mu), columns=columns)), columns=columns
    )


@torch.no_grad()
def sample_grid(training: VAETraining) -> Tensor:
    """uint8 (C, height, width): 64 images decoded from the same standard normal noise each time."""
    noise = seeded_noise(NUM_SAMPLES, training.config.model.latent_dim, seed=training.config.seed)
    return image_grid(without_alpha(_decoded(training, noise.to(training.device))), columns=COLUMNS)


def served_grid(exported: Path, *, seed: int) -> Tensor:
    """uint8 (C, height, width): 64 images as the service would draw them, from the prior that was fitted."""
    checkpoint = load(exported)
    prior = Prior(checkpoint.metadata.latent_dim, checkpoint.prior)
    z = prior.draw(NUM_SAMPLES, seed=seed, device=torch.device("cpu"))
    with torch.inference_mode():
        images = as_vae(checkpoint.module).decode(z)
    return image_grid(without_alpha(images), columns=COLUMNS)


def write_grid(path: Path, grid: Tensor) -> None:
    """Write uint8 (C, height, width) as a PNG file."""
    png = io.BytesIO()
    Image.fromarray(grid.permute(1, 2, 0).squeeze(2).numpy()).save(png, "PNG")
    write_whole(path, png.getbuffer())


def _decoded(training: VAETraining, z: Tensor) -> Tensor:
    pixels = torch.sigmoid(training.model.decode_logits(z)) * 255
    return pixels.round().to(torch.uint8).cpu()
