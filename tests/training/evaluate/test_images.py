from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.training.written_mnist import write_mnist
from training.config import DataConfig, load_preset
from training.data import load_splits
from training.data.batches import validation_images
from training.errors import DataError, EvaluationError
from training.evaluate.images import load_evaluated


@pytest.fixture(scope="module")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> DataConfig:
    root = tmp_path_factory.mktemp("data")
    write_mnist(root, num_train=50_020, num_test=251)
    return DataConfig(dataset="mnist", root=root, image_shape=(1, 2, 3), binarize=True)


def test_test_images_are_binarized_once_for_all_runs_and_any_limit(mnist: DataConfig) -> None:
    first = load_evaluated(mnist, seed=1, split=None, limit=None)
    again = load_evaluated(mnist, seed=2, split="test", limit=100)
    assert first.split == "test"
    assert set(first.shown.unique().tolist()) == {0, 255}
    assert torch.equal(first.shown[:100], again.shown)
    # The grey value is the probability of white: 0 to 250 of 255, each once.
    assert float((first.shown == 255).float().mean()) == pytest.approx(125 / 255, abs=0.04)


def test_the_grey_images_and_the_labels_are_kept_beside_the_binary_ones(mnist: DataConfig) -> None:
    images = load_evaluated(mnist, seed=1, split=None, limit=12)
    assert images.original[:, 0, 0, 0].tolist() == list(range(12))
    assert images.labels is not None
    assert images.labels.values.argmax(dim=1).tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]


def test_images_that_are_not_binarized_are_as_they_are(mnist: DataConfig) -> None:
    images = load_evaluated(mnist.model_copy(update={"binarize": False}), seed=1, split=None, limit=None)
    assert torch.equal(images.shown, images.original)
    assert images.binarization_seed is None


def test_validation_images_are_those_that_the_run_was_judged_by(mnist: DataConfig) -> None:
    config = load_preset("mnist", changes={"data.root": mnist.root, "data.image_shape": (1, 2, 3)})
    images = load_evaluated(config.data, seed=config.seed, split="validation", limit=None)
    assert torch.equal(images.shown, validation_images(load_splits(config), config=config))
    assert images.binarization_seed == config.seed


def test_data_without_a_test_split_are_measured_on_validation_images() -> None:
    config = DataConfig(dataset="sprites", image_shape=(3, 8, 8), limit=20)
    assert load_evaluated(config, seed=0, split=None, limit=None).split == "validation"
    with pytest.raises(DataError, match="has no test split: use --split validation"):
        load_evaluated(config, seed=0, split="test", limit=None)


def test_a_limit_leaves_images_of_every_class_of_a_folder(tmp_path: Path) -> None:
    for label in ("ant", "bee", "cat"):
        (tmp_path / label).mkdir()
        for index in range(20):
            Image.new("RGB", (8, 8), (60 * "abc".index(label[0]), index, 0)).save(
                tmp_path / label / f"{index}.png"
            )
    config = DataConfig(dataset="folder", root=tmp_path, image_shape=(3, 8, 8), validation_fraction=0.5)
    images = load_evaluated(config, seed=0, split=None, limit=6)
    assert len(images.shown) == len(images.original) == 6
    assert set(images.shown[:, 0, 0, 0].tolist()) == {0, 60, 120}


def test_one_image_is_too_few() -> None:
    config = DataConfig(dataset="sprites", image_shape=(3, 8, 8), limit=1)
    with pytest.raises(EvaluationError, match="two images are the least"):
        load_evaluated(config, seed=0, split=None, limit=None)
