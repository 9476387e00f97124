"""Glue: one VAE, one objective, one optimizer, as Lightning wants them.

Shapes: B batch, C channels, H height, W width, D latent size.
"""

from typing import Any

import lightning
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor

from training.config import Config, LossConfig
from training.errors import TrainingDiverged
from training.losses import (
    BernoulliLikelihood,
    GaussianLikelihood,
    OptimalGaussianLikelihood,
    gaussian_kl,
)
from training.models import MODELS

Likelihood = BernoulliLikelihood | GaussianLikelihood | OptimalGaussianLikelihood


class VAETraining(lightning.LightningModule):
    """Maximizes the evidence lower bound; what is logged is in nats an image, and mse in [0, 1] pixels.

    `val/loss` is the objective that is trained, at the final KL weight: it chooses the best checkpoint.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.model = MODELS[config.model.architecture](
            config.data.image_shape,
            latent_dim=config.model.latent_dim,
            hidden_channels=config.model.hidden_channels,
        ).to(memory_format=torch.channels_last)  # 1.3 to 1.7 times as fast on a CPU
        self.likelihood: Likelihood = _likelihood(config.loss)

    def training_step(self, batch: Tensor, batch_index: int) -> Tensor:
        """Mean objective of uint8 images (B, C, H, W).

        Raises:
            TrainingDiverged: It is no longer a number.
        """
        images = as_unit_range(batch)
        noise = torch.randn(len(images), self.config.model.latent_dim, device=images.device)
        figures = self.measure(images, noise=noise)
        loss = (figures["distortion"] + self.kl_weight() * figures["rate"]).mean()
        if not torch.isfinite(loss):
            raise TrainingDiverged(
                f"the loss is {loss.item()} at step {self.global_step} (epoch {self.current_epoch}): "
                f"try a smaller learning rate than {self.config.optimizer.learning_rate}, such as --lr "
                f"{self.config.optimizer.learning_rate / 5:g}"
            )
        self.log("train/loss", loss, prog_bar=True)
        self.log_dict({f"train/{name}": value.mean() for name, value in figures.items()})
        return loss

    def validation_step(self, batch: Tensor, batch_index: int) -> None:
        """Log the means over uint8 images (B, C, H, W), with noise that is the same at each validation."""
        images = as_unit_range(batch)
        noise = seeded_noise(len(images), self.config.model.latent_dim, seed=batch_index).to(images.device)
        figures = self.measure(images, noise=noise)
        figures["elbo"] = -figures["distortion"] - figures["rate"]
        figures["loss"] = figures["distortion"] + self.config.loss.kl_weight * figures["rate"]
        means = {f"val/{name}": value.mean() for name, value in figures.items()}
        self.log_dict(means, batch_size=len(images), on_epoch=True, sync_dist=True)

    def measure(self, images: Tensor, *, noise: Tensor) -> dict[str, Tensor]:
        """Distortion and rate in nats, mse in squared pixels, each (B,), of images (B, C, H, W) in [0, 1]."""
        logits, mu, log_var = self.model(images, noise)
        return {
            "distortion": self.likelihood(images, logits),
            "rate": gaussian_kl(mu, log_var),
            "mse": (images - torch.sigmoid(logits)).detach().square().flatten(1).mean(dim=1),
        }

    def kl_weight(self) -> float:
        """The KL weight of the present step, rising linearly from zero over the warm-up epochs."""
        num_warmup_steps = self.config.loss.kl_warmup_epochs * self.trainer.num_training_batches
        if self.global_step >= num_warmup_steps:
            return self.config.loss.kl_weight
        return self.config.loss.kl_weight * self.global_step / num_warmup_steps

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Adam, and its learning rate times gamma after each epoch."""
        settings = self.config.optimizer
        optimizer = torch.optim.Adam(self.model.parameters(), lr=settings.learning_rate, fused=True)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=settings.gamma)
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the config in the checkpoint, so that it can be exported and resumed by itself."""
        checkpoint["config"] = self.config.model_dump(mode="json")


def as_unit_range(images: Tensor) -> Tensor:
    """uint8 levels -> float32 in [0, 1]."""
    return images.to(torch.float32, memory_format=torch.channels_last) / 255


def seeded_noise(num: int, latent_dim: int, *, seed: int) -> Tensor:
    """Standard normal (num, D), always the same for the same arguments."""
    return torch.randn(num, latent_dim, generator=torch.Generator().manual_seed(seed))


def _likelihood(config: LossConfig) -> Likelihood:
    if config.likelihood == "bernoulli":
        return BernoulliLikelihood()
    if config.scale == "optimal":
        return OptimalGaussianLikelihood()
    return GaussianLikelihood(config.scale)
