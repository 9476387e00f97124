from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from training.config import Config, load_preset
from training.data import batches
from training.data.batches import binarized, training_loader, validation_images, validation_loader
from training.data.order import Share
from training.data.splits import ImageSplits
from training.errors import DataError

CPU = torch.device("cpu")


def config(preset: str = "fashion-mnist", changes: Mapping[str, object] | None = None) -> Config:
    return load_preset(preset, changes={"optimizer.batch_size": 4, **(changes or {})})


def numbered(num_images: int) -> ImageSplits:
    """Images that are their own number, for training and for validation."""
    images = torch.arange(num_images, dtype=torch.uint8)[:, None, None, None].repeat(1, 1, 2, 2)
    return ImageSplits(images, images)


def numbers(images: Tensor) -> list[int]:
    return images[:, 0, 0, 0].tolist()


def test_an_epoch_has_each_image_once_and_the_next_another_order() -> None:
    loader = training_loader(numbered(10), config=config())
    epochs = []
    for epoch in range(2):
        loader.sampler.set_epoch(epoch)
        taken = list(loader)
        assert len(taken) == len(loader) == 3
        epochs.append([number for batch in taken for number in numbers(batch)])
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(10))
    assert epochs[0] != epochs[1]


def test_images_too_many_for_the_device_come_in_the_same_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    flipped = config("mnist", {"data.flip": True})
    grey = torch.randint(0, 256, (50, 1, 4, 4), dtype=torch.uint8)
    splits = ImageSplits(grey, grey)
    resident = training_loader(splits, config=flipped)
    monkeypatch.setattr(batches, "MAX_MEMORY_BYTES", 10)
    streamed = training_loader(splits, config=flipped)
    assert (resident.is_resident, streamed.is_resident) == (True, False)
    for one, other in zip(resident, streamed, strict=True):
        assert torch.equal(one, other)


def test_flips_are_for_training_only() -> None:
    images = torch.arange(4 * 3 * 2 * 5).reshape(4, 3, 2, 5).to(torch.uint8)
    splits = ImageSplits(images, images)
    loader = training_loader(splits, config=config("celeba-vanilla"))
    seen = set()
    for epoch in range(8):
        loader.sampler.set_epoch(epoch)
        seen |= {tuple(image.flatten().tolist()) for batch in loader for image in batch}
    assert seen == {tuple(image.flatten().tolist()) for image in torch.cat([images, images.flip(3)])}
    assert torch.equal(validation_images(splits, config=config("celeba-vanilla")), images)


def test_training_pixels_are_binarized_anew_each_epoch_and_the_same_in_the_same_one() -> None:
    grey = torch.full((400, 1, 8, 8), 51, dtype=torch.uint8)
    loader = training_loader(ImageSplits(grey, grey), config=config("mnist", {"optimizer.batch_size": 400}))
    (once,) = loader
    (again,) = loader
    loader.sampler.set_epoch(1)
    (later,) = loader
    assert torch.equal(once, again)
    assert not torch.equal(once, later)
    assert set(once.flatten().tolist()) == {0, 255}


def test_the_grey_value_is_the_probability_of_a_white_pixel() -> None:
    grey = torch.tensor([0, 51, 255], dtype=torch.uint8).repeat(40_000, 1)
    white = (binarized(grey, generator=torch.Generator().manual_seed(0)) == 255).float().mean(dim=0)
    assert white.tolist() == pytest.approx([0, 0.2, 1], abs=0.01)  # five standard deviations


def test_no_two_processes_and_no_two_batches_draw_the_same_pixels() -> None:
    grey = torch.full((16, 1, 8, 8), 128, dtype=torch.uint8)
    splits = ImageSplits(grey, grey)
    drawn = [
        tuple(batch.flatten().tolist())
        for rank in range(2)
        for batch in training_loader(splits, config=config("mnist"), share=Share(rank, 2))
    ]
    assert len(set(drawn)) == len(drawn) == 4


def test_validation_pixels_are_binarized_once_by_the_seed() -> None:
    grey = torch.randint(0, 256, (9, 1, 4, 4), dtype=torch.uint8)
    splits = ImageSplits(grey, grey)
    mnist = config("mnist")
    assert torch.equal(validation_images(splits, config=mnist), validation_images(splits, config=mnist))


@pytest.mark.parametrize("num_processes", [1, 2, 3])
@pytest.mark.parametrize("num_images", [3, 16, 41])
def test_each_validation_image_is_in_the_batches_of_one_process(num_images: int, num_processes: int) -> None:
    images = numbered(num_images).validation
    shares = [Share(rank, num_processes) for rank in range(num_processes)]
    loaders = [validation_loader(images, config=config(), share=share) for share in shares]
    taken = [number for loader in loaders for batch in loader for number in numbers(batch)]
    assert taken == list(range(num_images))
    for loader in loaders:
        assert len(loader) == len(list(loader))
        assert all(len(batch) <= 16 for batch in loader)


def test_where_processes_outnumber_validation_images_each_takes_all_of_them() -> None:
    images = numbered(2).validation
    for rank in range(3):
        (batch,) = validation_loader(images, config=config(), share=Share(rank, 3))
        assert numbers(batch) == [0, 1]


def test_a_resumed_loader_takes_the_rest_of_the_epoch_as_it_would_have_been() -> None:
    mnist, splits = config("mnist"), numbered(21)
    whole = training_loader(splits, config=mnist)
    whole.sampler.set_epoch(5)
    expected = list(whole)

    stopped = training_loader(splits, config=mnist)
    stopped.sampler.set_epoch(5)
    taking = iter(stopped)
    for _ in range(2):
        next(taking)
    resumed = training_loader(splits, config=mnist)
    resumed.load_state_dict(stopped.state_dict())
    resumed.sampler.set_epoch(5)
    rest = list(resumed)
    assert len(rest) == len(expected) - 2
    assert all(torch.equal(one, other) for one, other in zip(rest, expected[2:], strict=True))
    resumed.sampler.set_epoch(6)
    assert len(list(resumed)) == len(expected)


def test_a_run_is_not_resumed_on_other_images() -> None:
    state = training_loader(numbered(21), config=config()).state_dict()
    with pytest.raises(DataError, match=r"21 of them, now there are 20.*resume with the same ones"):
        training_loader(numbered(20), config=config()).load_state_dict(state)
    brighter = ImageSplits(numbered(21).train + 1, numbered(21).validation)
    with pytest.raises(DataError, match="other images"):
        training_loader(brighter, config=config()).load_state_dict(state)


def test_within_an_epoch_a_run_is_resumed_by_as_many_processes_only() -> None:
    loader = training_loader(numbered(32), config=config())
    next(iter(loader))
    state = loader.state_dict()
    with pytest.raises(DataError, match=r"epoch of 8 steps.*so many processes would make it 4"):
        training_loader(numbered(32), config=config(), share=Share(0, 2)).load_state_dict(state)
    list(loader)  # at the end of an epoch there is nothing to go on with
    training_loader(numbered(32), config=config(), share=Share(0, 2)).load_state_dict(loader.state_dict())
