"""Glue: one VAE, one objective, one optimizer, as Lightning wants them.

Shapes: S samples of z an image, B batch, C channels, H height, W width, D latent size.
"""

import dataclasses
from typing import Any

import lightning
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from training.config import Config
from training.corruption import corrupted
from training.errors import TrainingDiverged
from training.likelihoods import Likelihood, build_likelihood
from training.losses import importance_weighted_nll, log_weights, unit_kl, with_free_bits
from training.models import MODELS
from training.models.vae import reparametrize
from training.optimizers import build_optimizer

POINT_LOG_VAR = -10.0  # of an autoencoder's units, whose posterior is a point
MAX_SKIPPED_IN_A_ROW = 10
MAX_SKIPPED_WHERE_SCALED = 40  # the scale begins at 2^16, and each of them halves it


@dataclasses.dataclass(frozen=True)
class Terms:
    """What the objectives are made of, in nats; z are S samples of the posterior of each image.

    Attributes:
        distortion: -log p(x|z), (S, B).
        log_weights: log p(x|z) + log p(z) - log q(z|x), (S, B).
        unit_kl: KL of each latent unit's posterior from its prior, (B, D).
        mu: Of the posterior, (B, D).
        mse: Mean squared error of pixels in [0, 1], (B,).
    """

    distortion: Tensor
    log_weights: Tensor
    unit_kl: Tensor
    mu: Tensor
    mse: Tensor


class VAETraining(lightning.LightningModule):
    """Minimizes a config's objective; what is logged is in nats an image, and mse in [0, 1] pixels.

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
        if self.is_autoencoder:
            _make_point(self.model.log_var)
        self.likelihood: Likelihood = build_likelihood(config.loss)
        self.num_skipped_steps = 0
        self._num_skipped_in_a_row = 0
        self._loss = torch.tensor(0.0)

    @property
    def is_autoencoder(self) -> bool:
        """Whether z is mu, without noise and without a prior."""
        return self.config.loss.objective == "autoencoder"

    @property
    def is_scaled(self) -> bool:
        """Whether Lightning scales the loss, lest small gradients vanish, and lowers the scale as needed."""
        return self.config.machine.precision == "float16"

    def training_step(self, batch: Tensor, batch_index: int) -> Tensor:
        """Mean objective of uint8 images (B, C, H, W)."""
        images = as_unit_range(batch)
        num_samples = self.config.loss.num_importance_samples
        noise = torch.randn(num_samples, len(images), self.config.model.latent_dim, device=images.device)
        terms = self.measure(images, noise=noise, shown=corrupted(images, self.config.data))
        loss = self.objective(terms, kl_weight=self.kl_weight())
        self._loss = loss.detach()
        self.log("train/loss", loss, prog_bar=True)
        self.log_dict({f"train/{name}": value for name, value in self.figures(terms).items()})
        return loss

    def validation_step(self, batch: Tensor, batch_index: int) -> Tensor:
        """Log the means over uint8 images (B, C, H, W), with noise that is the same each time; mu, (B, D)."""
        images = as_unit_range(batch)
        shape = (self.config.loss.num_importance_samples, len(images), self.config.model.latent_dim)
        terms = self.measure(images, noise=seeded_noise(*shape, seed=batch_index).to(images.device))
        figures = {"loss": self.objective(terms, kl_weight=self.config.loss.kl_weight), **self.figures(terms)}
        means = {f"val/{name}": value for name, value in figures.items()}
        # A float: of whole numbers Lightning cuts off what the mean over processes has behind the point.
        num_images: Any = float(len(images))
        self.log_dict(means, batch_size=num_images, on_epoch=True, sync_dist=True)
        return terms.mu

    def measure(self, images: Tensor, *, noise: Tensor, shown: Tensor | None = None) -> Terms:
        """The terms of images (B, C, H, W) in [0, 1].

        Args:
            images: What is to come out.
            noise: Standard normal, (S, B, D).
            shown: What the encoder is given, if not the images themselves.
        """
        mu, log_var = (value.float() for value in self.model.encode(images if shown is None else shown))
        z = mu.expand_as(noise) if self.is_autoencoder else reparametrize(mu, log_var, noise)
        logits = self.model.decode_logits(z.flatten(0, 1)).float()
        logits = logits.unflatten(0, noise.shape[:2])
        distortion = self.likelihood(images, logits)
        return Terms(
            distortion=distortion,
            log_weights=log_weights(distortion, log_var, z=z, noise=noise),
            unit_kl=unit_kl(mu, log_var),
            mu=mu,
            mse=(images - torch.sigmoid(logits.detach())).square().mean(dim=(0, 2, 3, 4)),
        )

    def objective(self, terms: Terms, *, kl_weight: float) -> Tensor:
        """What is minimized: one number, the mean over a batch in nats."""
        match self.config.loss.objective:
            case "autoencoder":
                return terms.distortion.mean()
            case "iwae":
                return importance_weighted_nll(terms.log_weights).mean()
        rate = with_free_bits(terms.unit_kl, self.config.loss.free_bits)
        return terms.distortion.mean() + kl_weight * rate

    def figures(self, terms: Terms) -> dict[str, Tensor]:
        """What is logged, means over a batch; an autoencoder has no rate, and so no bound."""
        figures = {"distortion": terms.distortion.mean(), "mse": terms.mse.mean()}
        if self.is_autoencoder:
            return figures
        rate = terms.unit_kl.sum(dim=1).mean()
        return {**figures, "rate": rate, "elbo": -figures["distortion"] - rate}

    def kl_weight(self) -> float:
        """The KL weight of the present step, rising linearly from zero over the warm-up epochs."""
        num_warmup_steps = self.config.loss.kl_warmup_epochs * self.trainer.num_training_batches
        if self.global_step >= num_warmup_steps:
            return self.config.loss.kl_weight
        return self.config.loss.kl_weight * self.global_step / num_warmup_steps

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The config's optimizer and schedule."""
        num_steps = int(self.trainer.estimated_stepping_batches)
        num_steps_per_epoch = max(1, num_steps // (self.trainer.max_epochs or 1))
        return build_optimizer(
            self,
            self.config.optimizer,
            num_steps=num_steps,
            num_steps_per_epoch=num_steps_per_epoch,
            fused=not self.is_scaled,
        )

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Bound the gradient; leave the weights as they are where it is not finite.

        Raises:
            TrainingDiverged: The loss is no longer a number, or so many gradients in a row were not.
        """
        weights = [weight for weight in self.parameters() if weight.grad is not None]
        largest = self.config.optimizer.clip_norm or float("inf")
        norm = nn.utils.clip_grad_norm_(weights, largest).to(self._loss)
        finite = torch.stack([self._loss, norm]).isfinite().float()
        # A loss is one process's own: all have to stop, or those left would wait for the others.
        is_loss_finite, is_norm_finite = self.trainer.strategy.reduce(finite, reduce_op="min").tolist()
        if not is_loss_finite:
            here = "nan in another process" if self._loss.isfinite() else self._loss.item()
            raise TrainingDiverged(self._advice(f"the loss is {here}"))
        self._num_skipped_in_a_row = 0 if is_norm_finite else self._num_skipped_in_a_row + 1
        most_in_a_row = MAX_SKIPPED_WHERE_SCALED if self.is_scaled else MAX_SKIPPED_IN_A_ROW
        if self._num_skipped_in_a_row > most_in_a_row:
            raise TrainingDiverged(
                self._advice(f"the gradients of {most_in_a_row} steps in a row were not finite")
            )
        if not is_norm_finite:
            self.num_skipped_steps += 1
            for weight in weights:
                weight.grad = None  # what has no gradient is left alone, its moments too
        self.log_dict({"train/gradient_norm": norm, "train/skipped_steps": float(self.num_skipped_steps)})

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the config in the checkpoint, so that it can be exported and resumed by itself."""
        checkpoint["config"] = self.config.model_dump(mode="json")

    def _advice(self, problem: str) -> str:
        learning_rate = self.config.optimizer.learning_rate
        return (
            f"{problem} at step {self.global_step} (epoch {self.current_epoch}): try a smaller learning rate "
            f"than {learning_rate:g}, such as --lr {learning_rate / 5:g}"
        )


def as_unit_range(images: Tensor) -> Tensor:
    """uint8 levels -> float32 in [0, 1]."""
    return images.to(torch.float32, memory_format=torch.channels_last) / 255


def seeded_noise(*shape: int, seed: int) -> Tensor:
    """Standard normal numbers, always the same for the same arguments."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _make_point(log_var: nn.Module) -> None:
    for layer in log_var.modules():
        if isinstance(layer, nn.Linear):
            nn.init.zeros_(layer.weight)
            nn.init.constant_(layer.bias, POINT_LOG_VAR)
    log_var.requires_grad_(False)
