from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.training.written_mnist import write_idx, write_mnist
from training.config import DataConfig, load_preset
from training.data import load_splits
from training.data.batches import validation_images
from training.data.parts import load_part
from training.data.sprites import SHAPES
from training.errors import DataError

SEED = 1265


def config_of(dataset: str, root: Path | None = None, **changes: object) -> DataConfig:
    values = {"dataset": dataset, "root": root, "image_shape": (3, 8, 8), **changes}
    return DataConfig.model_validate(values)


def write_celeba(root: Path, parts: list[int]) -> None:
    folder = root / "celeba/img_align_celeba"
    folder.mkdir(parents=True)
    for index in range(len(parts)):
        Image.new("RGB", (9, 9), (index, 0, 0)).save(folder / f"{index:06d}.png")
    lines = [f"{index:06d}.png {part}" for index, part in enumerate(parts)]
    (root / "celeba/list_eval_partition.txt").write_text("\n".join(lines))


def test_mnist_has_50000_10000_and_the_test_files_with_their_classes(tmp_path: Path) -> None:
    write_mnist(tmp_path, num_train=50_004, num_test=12)
    config = config_of("mnist", tmp_path, image_shape=(1, 2, 3))
    parts = {part: load_part(part, config=config, seed=0) for part in ("train", "validation", "test")}
    assert {name: len(part.images) for name, part in parts.items()} == {
        "train": 50_000, "validation": 4, "test": 12,
    }  # fmt: skip
    assert parts["validation"].images[:, 0, 0, 0].tolist() == [index % 251 for index in range(50_000, 50_004)]
    labels = parts["test"].labels
    assert labels is not None
    assert labels.exclusive
    assert labels.values.argmax(dim=1).tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]


def test_the_runs_own_limit_does_not_shorten_the_test_part(tmp_path: Path) -> None:
    write_mnist(tmp_path, num_train=50_004, num_test=12)
    config = config_of("mnist", tmp_path, image_shape=(1, 2, 3), limit=3)
    assert [len(load_part(part, config=config, seed=0).images) for part in ("train", "test")] == [3, 12]


def test_mnist_without_label_files_has_no_labels_and_without_test_images_says_so(tmp_path: Path) -> None:
    write_mnist(tmp_path, num_train=50_001, num_test=3)
    config = config_of("mnist", tmp_path, image_shape=(1, 2, 3))
    (tmp_path / "MNIST/raw/t10k-labels-idx1-ubyte.gz").unlink()
    assert load_part("test", config=config, seed=0).labels is None
    (tmp_path / "MNIST/raw/t10k-images-idx3-ubyte.gz").unlink()
    with pytest.raises(DataError, match="t10k-images-idx3-ubyte"):
        load_part("test", config=config, seed=0)


def test_labels_that_do_not_fit_the_images_are_refused_with_their_file(tmp_path: Path) -> None:
    write_mnist(tmp_path, num_train=50_001, num_test=3)
    write_idx(tmp_path / "MNIST/raw/t10k-labels-idx1-ubyte.gz", np.zeros(2, np.uint8))
    with pytest.raises(DataError, match=r"t10k-labels.*each of the 3 images"):
        load_part("test", config=config_of("mnist", tmp_path, image_shape=(1, 2, 3)), seed=0)


def test_celebas_test_part_is_the_third_and_its_attributes_follow_the_files(tmp_path: Path) -> None:
    write_celeba(tmp_path, [0, 0, 1, 2, 2])
    config = config_of("celeba", tmp_path)
    assert load_part("test", config=config, seed=0).labels is None
    (tmp_path / "celeba/list_attr_celeba.csv").write_text(
        "image_id,Bald,Smiling\n000004.png,1,-1\n000003.png,-1,1\n000000.png,1,1\n000001.png,1,1\n"
    )
    part = load_part("test", config=config, seed=0)
    assert part.images[:, 0, 0, 0].tolist() == [3, 4]
    assert part.labels is not None
    assert (part.labels.names, part.labels.exclusive) == (("Bald", "Smiling"), False)
    assert part.labels.values.tolist() == [[0, 1], [1, 0]]


def test_the_original_list_of_attributes_is_read_too(tmp_path: Path) -> None:
    write_celeba(tmp_path, [0, 1, 2])
    (tmp_path / "celeba/list_attr_celeba.txt").write_text("3\nBald Smiling\n000002.png  1 -1\n")
    labels = load_part("test", config=config_of("celeba", tmp_path), seed=0).labels
    assert labels is not None
    assert labels.values.tolist() == [[1, 0]]


def test_an_image_without_attributes_is_named(tmp_path: Path) -> None:
    write_celeba(tmp_path, [0, 1, 2])
    (tmp_path / "celeba/list_attr_celeba.txt").write_text("3\nBald Smiling\n000001.png 1 -1\n")
    with pytest.raises(DataError, match=r"list_attr_celeba\.txt has no line of 2 attributes.*000002\.png"):
        load_part("test", config=config_of("celeba", tmp_path), seed=0)


def test_celeba_without_test_images_says_what_to_use(tmp_path: Path) -> None:
    write_celeba(tmp_path, [0, 0, 1])
    with pytest.raises(DataError, match=r"no image of the test part: use --split validation"):
        load_part("test", config=config_of("celeba", tmp_path), seed=0)


def test_subfolders_are_classes_and_undecodable_files_do_not_shift_them(tmp_path: Path) -> None:
    for name, level in (("cats", 10), ("dogs", 200)):
        for index in range(10):
            path = tmp_path / name / f"{index}.png"
            path.parent.mkdir(exist_ok=True)
            Image.new("RGB", (9, 9), (level, level, level)).save(path)
    (tmp_path / "cats/1.png").write_text("no image")
    (tmp_path / "cats/5.png").write_text("no image")
    config = config_of("folder", tmp_path)
    total = 0
    for name in ("train", "validation"):
        part = load_part(name, config=config, seed=SEED)
        assert part.labels is not None
        assert part.labels.names == ("cats", "dogs")
        assert torch.equal(part.labels.values.argmax(dim=1), (part.images[:, 0, 0, 0] > 100).long())
        total += len(part.images)
    assert total == 18


def test_a_limit_takes_images_of_all_class_folders_and_the_same_wherever_they_are_read(
    tmp_path: Path,
) -> None:
    for name, level in (("cats", 10), ("dogs", 200)):
        (tmp_path / name).mkdir()
        for index in range(50):
            Image.new("RGB", (9, 9), (level, index, index)).save(tmp_path / name / f"{index}.png")
    config = load_preset(
        "folder", changes={"data.root": tmp_path, "data.image_shape": (3, 8, 8), "data.limit": 30}
    )
    splits = load_splits(config)
    assert len(splits.train) == 30
    share_of_dogs = (splits.train[:, 0, 0, 0] > 100).float().mean().item()
    assert 0.25 < share_of_dogs < 0.75
    assert torch.equal(load_part("train", config=config.data, seed=config.seed).images, splits.train)


def test_a_folder_with_images_beside_its_subfolders_has_no_classes_and_no_test_part(tmp_path: Path) -> None:
    (tmp_path / "cats").mkdir()
    for name in ("a.png", "b.png", "cats/c.png"):
        Image.new("L", (9, 9)).save(tmp_path / name)
    assert load_part("train", config=config_of("folder", tmp_path), seed=0).labels is None
    with pytest.raises(DataError, match=r"'folder' has no test split: use --split validation"):
        load_part("test", config=config_of("folder", tmp_path), seed=0)


def test_the_real_test_files_have_a_thousand_images_of_each_class(real_data: Path) -> None:
    config = load_preset("fashion-mnist", changes={"data.root": real_data / "fashion-mnist"}).data
    part = load_part("test", config=config, seed=0)
    assert part.images.shape == (10_000, 1, 28, 28)
    assert part.labels is not None
    assert part.labels.values.sum(dim=0).tolist() == [1000] * 10


def test_a_part_holds_the_images_that_the_run_trained_on_and_was_judged_by() -> None:
    config = load_preset("sprites", changes={"data.image_shape": (3, 16, 16), "data.limit": 30})
    splits = load_splits(config)
    train, validation = (
        load_part(part, config=config.data, seed=config.seed) for part in ("train", "validation")
    )
    assert torch.equal(train.images, splits.train)
    assert torch.equal(validation.images, validation_images(splits, config=config))
    assert validation.labels is not None
    assert validation.labels.names == SHAPES
