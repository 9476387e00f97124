import math

import pytest
import torch
from torch import nn

from training.config import OptimizerConfig
from training.optimizers import build_optimizer, rate_factor


def factors(config: OptimizerConfig, *, num_steps: int, num_steps_per_epoch: int) -> list[float]:
    return [
        rate_factor(config, step=step, num_steps=num_steps, num_steps_per_epoch=num_steps_per_epoch)
        for step in range(num_steps)
    ]


def test_the_cosine_starts_at_one_is_half_way_at_half_time_and_ends_near_zero() -> None:
    cosine = factors(OptimizerConfig(epochs=2), num_steps=100, num_steps_per_epoch=50)
    assert cosine[0] == 1
    assert cosine[50] == pytest.approx(0.5)
    assert cosine[99] == pytest.approx((1 + math.cos(0.99 * math.pi)) / 2)
    assert cosine == sorted(cosine, reverse=True)


def test_the_rate_rises_linearly_over_the_warmup() -> None:
    rising = factors(OptimizerConfig(epochs=1, warmup_steps=4), num_steps=100, num_steps_per_epoch=100)
    assert rising[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


def test_the_exponential_schedule_falls_after_each_epoch() -> None:
    config = OptimizerConfig(epochs=3, schedule="exponential", gamma=0.5)
    assert factors(config, num_steps=6, num_steps_per_epoch=2) == [1, 1, 0.5, 0.5, 0.25, 0.25]


def test_the_optimizer_has_the_rate_of_each_step() -> None:
    network = nn.Linear(2, 2)
    config = OptimizerConfig(epochs=1, learning_rate=0.1, warmup_steps=1)
    built = build_optimizer(network, config, num_steps=3, num_steps_per_epoch=3)
    rates = []
    for _ in range(3):
        rates.append(built["optimizer"].param_groups[0]["lr"])
        built["optimizer"].step()
        built["lr_scheduler"]["scheduler"].step()
    assert rates == pytest.approx([0.05, 0.1, 0.05])


def test_decay_shrinks_matrices_and_leaves_biases_alone() -> None:
    network = nn.Linear(2, 2)
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    config = OptimizerConfig(epochs=1, learning_rate=0.1, weight_decay=0.5)
    optimizer = build_optimizer(network, config, num_steps=1, num_steps_per_epoch=1)["optimizer"]
    network(torch.zeros(1, 2)).sum().mul(0).backward()
    optimizer.step()
    # AdamW with a gradient of zero: w <- w - rate * decay * w.
    torch.testing.assert_close(network.weight.detach(), before["weight"] * (1 - 0.1 * 0.5))
    torch.testing.assert_close(network.bias.detach(), before["bias"])
