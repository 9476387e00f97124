"""Adam and its learning rate over the steps of a run."""

import math

from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from training.config import OptimizerConfig


def build_optimizer(
    network: nn.Module,
    config: OptimizerConfig,
    *,
    num_steps: int,
    num_steps_per_epoch: int,
    fused: bool = True,
) -> OptimizerLRScheduler:
    """AdamW, which without weight decay is Adam, and a learning rate that is set anew before each step.

    Decay is for weights of matrices and kernels only, not for biases, scales and single numbers.
    Source: Loshchilov & Hutter 2019 (arXiv 1711.05101).

    Args:
        network: Whose weights are optimized.
        config: What the optimizer and its schedule are to be.
        num_steps: Of the whole run.
        num_steps_per_epoch: Of one epoch.
        fused: All weights in one kernel, which is fast, and which undoes the scale of scaled gradients
            itself: too late for them to be clipped.
    """
    matrices = [weight for weight in network.parameters() if weight.ndim >= 2]
    others = [weight for weight in network.parameters() if weight.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    optimizer = AdamW(groups, lr=config.learning_rate, fused=fused)

    def factor(step: int) -> float:
        return rate_factor(config, step=step, num_steps=num_steps, num_steps_per_epoch=num_steps_per_epoch)

    schedule = LambdaLR(optimizer, factor)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def rate_factor(config: OptimizerConfig, *, step: int, num_steps: int, num_steps_per_epoch: int) -> float:
    """What the learning rate is multiplied by in a step: a linear warm-up times the schedule.

    Source of the cosine: Loshchilov & Hutter 2017 (arXiv 1608.03983), equation 5, without restarts.
    """
    warmup = min(1.0, (step + 1) / (config.warmup_steps + 1))
    if config.schedule == "exponential":
        return float(warmup * config.gamma ** (step // num_steps_per_epoch))
    num_falling_steps = max(1, num_steps - config.warmup_steps)
    progress = min(1.0, max(0, step - config.warmup_steps) / num_falling_steps)
    return float(warmup * 0.5 * (1 + math.cos(math.pi * progress)))
