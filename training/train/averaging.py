"""The exponential moving average of the weights, which is what is validated, saved and exported."""

from collections.abc import Sequence

import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor

FIRST_STEPS = 10


class MovingAverage(WeightAveraging):
    """Averages weights and BatchNorm's statistics over the steps, with less memory in the first of them.

    After n steps the average keeps min(decay, (1 + n) / (10 + n)) of itself, as TensorFlow's
    ExponentialMovingAverage does with a step count, so that the first weights do not outlast a short run.

    Args:
        decay: What the average keeps of itself in each step, in (0, 1).
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        super().__init__(use_buffers=True, multi_avg_fn=self._average)

    @torch.no_grad()
    def _average(
        self, averages: Sequence[Tensor], currents: Sequence[Tensor], num_averaged: Tensor | int
    ) -> None:
        num = int(num_averaged)
        share = 1 - min(self.decay, (1 + num) / (FIRST_STEPS + num))
        if averages[0].is_floating_point():
            torch._foreach_lerp_(list(averages), list(currents), share)
        else:  # a count of batches
            torch._foreach_copy_(list(averages), list(currents))
