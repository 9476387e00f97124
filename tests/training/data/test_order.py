import pytest
import torch

from training.data.order import EpochOrder, Share, derived_seed
from training.errors import DataError


def order(num_images: int, batch_size: int, *, num_processes: int = 1, seed: int = 3) -> list[EpochOrder]:
    """One for each process."""
    return [
        EpochOrder(num_images, batch_size=batch_size, share=Share(rank, num_processes), seed=seed)
        for rank in range(num_processes)
    ]


@pytest.mark.parametrize("num_processes", [1, 2, 3])
@pytest.mark.parametrize(
    ("num_images", "batch_size"), [(64, 16), (100, 64), (65, 64), (7, 3), (3, 8), (17, 1)]
)
def test_each_image_is_taken_once_an_epoch_in_batches_as_equal_as_can_be(
    num_images: int, batch_size: int, num_processes: int
) -> None:
    batches = [own.batches() for own in order(num_images, batch_size, num_processes=num_processes)]
    taken = torch.cat([indices for own in batches for indices in own])
    assert sorted(taken.tolist()) == list(range(num_images))
    sizes = [len(indices) for own in batches for indices in own]
    assert min(sizes) > 0
    # Single images that do not divide: some processes take two.
    assert max(sizes) <= batch_size + (batch_size == 1 and num_images % num_processes > 0)
    assert max(sizes) - min(sizes) <= 1
    assert len({len(own) for own in batches}) == 1


def test_processes_that_train_together_take_the_batches_of_one_with_as_many_images_a_step() -> None:
    (alone,) = order(96, 32)
    first, second = order(96, 16, num_processes=2)
    for whole, *halves in zip(alone.batches(), first.batches(), second.batches(), strict=True):
        assert whole.tolist() == torch.cat(halves).tolist()


def test_the_order_depends_on_the_seed_and_the_epoch_alone() -> None:
    (once,), (again,), (other,) = order(50, 10), order(50, 10), order(50, 10, seed=4)
    again.set_epoch(7)
    again.batches()
    for epoch in (0, 1):
        for each in (once, again, other):
            each.set_epoch(epoch)
        assert torch.equal(torch.cat(once.batches()), torch.cat(again.batches()))
        assert not torch.equal(torch.cat(once.batches()), torch.cat(other.batches()))
    first_epoch = torch.cat(other.batches())
    other.set_epoch(2)
    assert not torch.equal(first_epoch, torch.cat(other.batches()))


def test_more_processes_than_images_are_refused_with_the_remedy() -> None:
    with pytest.raises(DataError, match="3 training images cannot be shared by 4 processes: use --devices 3"):
        order(3, 8, num_processes=4)


def test_any_other_numbers_give_another_seed() -> None:
    parts = [(0, 0), (0, 1), (1, 0), (0, 0, 1), (0, 0, 2), (2**32, 5)]
    assert len({derived_seed(*each) for each in parts}) == len(parts)
    assert derived_seed(5, 6) == derived_seed(5, 6)
