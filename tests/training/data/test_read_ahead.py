import threading

import pytest
import torch
from torch import Tensor

from training.data.read_ahead import read_ahead


@pytest.mark.parametrize("num_threads", [0, 1, 3])
def test_batches_come_in_order(num_threads: int) -> None:
    batches = [torch.tensor([index]) for index in range(20)]
    made = list(read_ahead(lambda indices: 10 * indices, batches, num_threads=num_threads))
    assert [int(batch) for batch in made] == list(range(0, 200, 10))


def test_batches_are_made_before_they_are_asked_for_and_not_all_at_once() -> None:
    made = threading.Semaphore(0)

    def gather(indices: Tensor) -> Tensor:
        made.release()
        return indices

    batches = read_ahead(gather, [torch.tensor(index) for index in range(100)], num_threads=1)
    assert int(next(batches)) == 0
    for _ in range(3):  # the first, and two that nobody has asked for
        assert made.acquire(timeout=10)
    assert not made.acquire(blocking=False)


def test_what_fails_while_reading_ahead_is_raised_where_it_is_asked_for() -> None:
    def gather(indices: Tensor) -> Tensor:
        if int(indices) == 2:
            raise OSError("gone")
        return indices

    batches = read_ahead(gather, [torch.tensor(index) for index in range(5)], num_threads=2)
    assert [int(next(batches)), int(next(batches))] == [0, 1]
    with pytest.raises(OSError, match="gone"):
        next(batches)
