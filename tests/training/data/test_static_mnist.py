from pathlib import Path

import numpy as np
import pytest
import torch

from training.config import Config, load_preset
from training.data import load_splits
from training.data.batches import validation_images
from training.data.parts import load_part
from training.errors import DataError

NUM = {"train": 5, "valid": 3, "test": 4}


def bits(name: str) -> np.ndarray:
    return np.random.default_rng(NUM[name]).integers(0, 2, (NUM[name], 784), dtype=np.uint8)


def config_of(root: Path, **changes: object) -> Config:
    return load_preset("mnist", changes={"data.dataset": "static-mnist", "data.root": root, **changes})


def write_packed(root: Path) -> None:
    np.savez(root / "static_binarized_mnist.npz", **{name: np.packbits(bits(name), axis=1) for name in NUM})


def write_text(root: Path) -> None:
    for name in NUM:
        np.savetxt(root / f"binarized_mnist_{name}.amat", bits(name), fmt="%d")


@pytest.mark.parametrize("write", [write_packed, write_text])
def test_each_part_has_its_own_images_and_stays_as_it_is(tmp_path: Path, write: object) -> None:
    write(tmp_path)  # type: ignore[operator]
    config = config_of(tmp_path)
    splits = load_splits(config)
    np.testing.assert_array_equal(splits.train.flatten(1).numpy(), 255 * bits("train"))
    np.testing.assert_array_equal(splits.validation.flatten(1).numpy(), 255 * bits("valid"))
    assert torch.equal(validation_images(splits, config=config), splits.validation)
    test = load_part("test", config=config.data, seed=0)
    np.testing.assert_array_equal(test.images.flatten(1).numpy(), 255 * bits("test"))
    assert test.labels is None


def test_what_is_missing_damaged_or_of_another_shape_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no data")
    with pytest.raises(
        DataError, match=r"neither static_binarized_mnist\.npz nor binarized_mnist_train\.amat"
    ):
        load_splits(config_of(tmp_path))
    np.savetxt(tmp_path / "binarized_mnist_train.amat", np.ones((2, 9)), fmt="%d")
    with pytest.raises(DataError, match=r"train\.amat is no table of 784 binary pixels a row.*\(2, 9\)"):
        load_splits(config_of(tmp_path))
    (tmp_path / "static_binarized_mnist.npz").write_bytes(b"PK damaged")
    with pytest.raises(DataError, match=r"static_binarized_mnist\.npz cannot be read"):
        load_splits(config_of(tmp_path))
    with pytest.raises(DataError, match=r"data\.image_shape is 1, 28, 28"):
        load_splits(config_of(tmp_path, **{"data.image_shape": (1, 32, 32)}))


def test_the_real_file_has_50000_10000_and_10000_images(real_data: Path) -> None:
    config = config_of(real_data / "static-binarized-mnist").data
    sizes = {
        part: len(load_part(part, config=config, seed=0).images) for part in ("train", "validation", "test")
    }
    assert sizes == {"train": 50_000, "validation": 10_000, "test": 10_000}
