"""Watches for posterior collapse: latent units that say nothing of the image, and what helps against it.

Shapes: B batch, D latent size.
"""

import logging
from typing import Any

import lightning
import torch
from torch import Tensor

from training.lightning_module import VAETraining
from training.losses import ACTIVE_VARIANCE

logger = logging.getLogger(__name__)

FEW = 0.1
REMEDY = (
    "what helps: --set loss.scale=optimal (a smaller sigma makes the pixels count for more), "
    "--set loss.kl_warmup_epochs=N, --set loss.free_bits=0.1, or a smaller --latent"
)


class CollapseWatch(lightning.Callback):
    """Logs `val/active_units` after each validation, and warns once where a tenth of them or fewer is left.

    A unit is active where its posterior mean varies over the images by more than 0.01 (Burda, Grosse &
    Salakhutdinov 2016, arXiv 1509.00519, section 4.2). While the KL weight or the learning rate still rises
    nothing is said.
    """

    def __init__(self) -> None:
        self._sums = torch.zeros(0)
        self._has_warned = False

    def on_validation_epoch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Forget the last validation."""
        self._sums = torch.zeros(0)

    def on_validation_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,  # noqa: ANN401
        *_: object,
    ) -> None:
        """Add up what the variance of mu, (B, D), is made of."""
        mu = outputs.double()
        sums = torch.stack([torch.ones_like(mu), mu, mu.square()]).sum(dim=1)
        self._sums = self._sums.to(sums) + sums if len(self._sums) else sums

    def on_validation_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Count over all processes, log, warn."""
        assert isinstance(pl_module, VAETraining)
        sums = trainer.strategy.reduce(self._sums, reduce_op="sum")
        assert isinstance(sums, Tensor)
        if sums[0, 0] < 2:  # one image, whose mean varies with nothing
            return
        active = num_active(sums)
        pl_module.log("val/active_units", float(active), sync_dist=True)
        config = pl_module.config
        is_rising = (
            trainer.current_epoch < config.loss.kl_warmup_epochs
            or trainer.global_step < config.optimizer.warmup_steps
        )
        if self._has_warned or is_rising or active > FEW * config.model.latent_dim:
            return
        self._has_warned = True
        if trainer.is_global_zero:
            logger.warning(
                "posterior collapse: %d of %d latent units are active; %s",
                active, config.model.latent_dim, REMEDY,
            )  # fmt: skip


def num_active(sums: Tensor) -> int:
    """Units whose mean varies, from counts, sums and sums of squares, (3, D)."""
    count, total, squares = sums
    variance = squares / count - (total / count).square()
    return int((variance > ACTIVE_VARIANCE).sum())
