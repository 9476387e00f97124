import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from training.train.averaging import MovingAverage


def averaged(values: list[float], decay: float) -> float:
    """The average of a weight that takes these values, by the callback's own rule in PyTorch's own model."""
    network = nn.Linear(1, 1, bias=False)
    model = AveragedModel(network, multi_avg_fn=MovingAverage(decay)._kwargs["multi_avg_fn"])
    for value in values:
        nn.init.constant_(network.weight, value)
        model.update_parameters(network)
    return model.module.weight.item()


def test_the_first_weights_do_not_outlast_a_short_run() -> None:
    # By hand: keep min(decay, (1 + n) / (10 + n)) of the average after n steps, the first value being copied.
    expected = 1.0
    for num, value in enumerate([2.0, 3.0], start=1):
        kept = (1 + num) / (10 + num)
        expected = kept * expected + (1 - kept) * value
    torch.testing.assert_close(averaged([1.0, 2.0, 3.0], 0.999), expected)


def test_later_the_average_keeps_as_much_of_itself_as_asked() -> None:
    expected = 1.0
    for num, value in enumerate([2.0, 3.0, 4.0], start=1):
        kept = min(0.15, (1 + num) / (10 + num))
        expected = kept * expected + (1 - kept) * value
    torch.testing.assert_close(averaged([1.0, 2.0, 3.0, 4.0], 0.15), expected)


def test_batch_norms_statistics_are_averaged_like_weights_and_its_count_is_the_last() -> None:
    network, average = nn.BatchNorm1d(1), MovingAverage(0.999)
    model = AveragedModel(network, use_buffers=average._use_buffers, **average._kwargs)
    for value in (1, 2):
        nn.init.constant_(network.running_mean, value)
        network.num_batches_tracked.fill_(value)
        model.update_parameters(network)
    kept = (1 + 1) / (10 + 1)
    assert model.module.running_mean.item() == pytest.approx(kept * 1 + (1 - kept) * 2)
    assert model.module.num_batches_tracked == 2
