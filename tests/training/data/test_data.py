import gzip
import logging
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from training.config import Config, load_preset
from training.data import load_splits
from training.data.idx import read_idx
from training.data.splits import seeded_split
from training.errors import DataError


def folder_config(root: Path, dataset: str = "folder") -> Config:
    changes = {"data.root": root, "data.image_shape": (3, 8, 8), "data.dataset": dataset}
    return load_preset("folder", changes=changes)


def write_pictures(folder: Path, levels: list[int], mode: str = "RGB", suffix: str = ".png") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for level in levels:
        Image.new("L", (10, 12), level).convert(mode).save(folder / f"{level:06d}{suffix}")


def levels(images: torch.Tensor) -> list[int]:
    return sorted(images[:, 0, 0, 0].tolist())


def write_kaggle_celeba(root: Path, parts: list[int]) -> None:
    write_pictures(
        root / "celeba/img_align_celeba/img_align_celeba", list(range(1, len(parts) + 1)), suffix=".jpg"
    )
    lines = [f"{index:06d}.jpg,{part}" for index, part in enumerate(parts, start=1)]
    (root / "celeba/list_eval_partition.csv").write_text("\n".join(["image_id,partition", *lines]))


def test_three_images_are_enough(tmp_path: Path) -> None:
    write_pictures(tmp_path, [1, 2, 3])
    splits = load_splits(folder_config(tmp_path))
    assert splits.train.shape == (2, 3, 8, 8)
    assert splits.validation.shape == (1, 3, 8, 8)


def test_class_folders_and_modes_are_read_and_no_image_is_in_both_parts(tmp_path: Path) -> None:
    write_pictures(tmp_path / "cats", [10, 20, 30])
    write_pictures(tmp_path / "dogs" / "small", [40, 50], mode="L", suffix=".BMP")
    write_pictures(tmp_path, [60], mode="RGBA")
    (tmp_path / "notes.txt").write_text("not an image")
    splits = load_splits(folder_config(tmp_path))
    assert levels(torch.cat([splits.train, splits.validation])) == [10, 20, 30, 40, 50, 60]


def test_a_corrupt_file_is_named_and_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_pictures(tmp_path, [1, 2, 3, 4])
    (tmp_path / "broken.png").write_bytes((tmp_path / "000001.png").read_bytes()[:50])
    with caplog.at_level(logging.WARNING, logger="training"):
        splits = load_splits(folder_config(tmp_path))
    assert levels(torch.cat([splits.train, splits.validation])) == [1, 2, 3, 4]
    assert "skipped 1 of" in caplog.text
    assert "broken.png" in caplog.text


def test_only_corrupt_files_are_an_error_that_names_them(tmp_path: Path) -> None:
    for name in ("a.png", "b.jpg", "c.png"):
        (tmp_path / name).write_text("no image")
    with pytest.raises(DataError, match=r"none of the \d image files can be decoded.*\.(png|jpg)"):
        load_splits(folder_config(tmp_path))


@pytest.mark.parametrize("dataset", ["folder", "celeba", "mnist", "fashion-mnist"])
def test_a_missing_or_empty_folder_is_named(tmp_path: Path, dataset: str) -> None:
    with pytest.raises(DataError, match=f"{tmp_path}/nowhere does not exist"):
        load_splits(folder_config(tmp_path / "nowhere", dataset))
    with pytest.raises(DataError, match=f"{tmp_path} is empty"):
        load_splits(folder_config(tmp_path, dataset))
    (tmp_path / "readme.txt").write_text("no data")
    with pytest.raises(DataError, match=str(tmp_path)):
        load_splits(folder_config(tmp_path, dataset))


def test_a_data_set_without_its_folder_says_which_flag_to_add() -> None:
    with pytest.raises(DataError, match="--data DIR"):
        load_splits(load_preset("mnist"))


def test_kaggles_celeba_follows_its_partition(tmp_path: Path) -> None:
    write_kaggle_celeba(tmp_path, [0, 0, 1, 2, 0, 1])
    splits = load_splits(folder_config(tmp_path, "celeba"))
    assert len(splits.train) == 3
    assert len(splits.validation) == 2
    again = load_splits(folder_config(tmp_path / "celeba", "celeba"))
    assert torch.equal(splits.train, again.train)


def test_torchvisions_celeba_layout_is_read(tmp_path: Path) -> None:
    write_pictures(tmp_path / "celeba/img_align_celeba", [1, 2, 3], suffix=".jpg")
    lines = "000001.jpg 0\n000002.jpg 1\n000003.jpg 0\n"
    (tmp_path / "celeba/list_eval_partition.txt").write_text(lines)
    splits = load_splits(folder_config(tmp_path, "celeba"))
    assert (len(splits.train), len(splits.validation)) == (2, 1)


def test_celeba_with_an_empty_part_is_split_by_the_seed_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_kaggle_celeba(tmp_path, [0] * 20)
    with caplog.at_level(logging.WARNING, logger="training"):
        splits = load_splits(folder_config(tmp_path, "celeba"))
    assert (len(splits.train), len(splits.validation)) == (18, 2)
    assert "split 18 to 2 by seed 1265" in caplog.text


def test_a_packed_idx_file_is_read_from_its_folder(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (50_003, 4, 5), dtype=np.uint8)
    raw = tmp_path / "FashionMNIST/raw"
    raw.mkdir(parents=True)
    content = b"\0\0\x08\x03" + struct.pack(">3I", *pixels.shape) + pixels.tobytes()
    (raw / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(content, 1))
    config = load_preset("fashion-mnist", changes={"data.root": tmp_path, "data.image_shape": (1, 4, 5)})
    splits = load_splits(config)
    np.testing.assert_array_equal(splits.train[:, 0].numpy(), pixels[:50_000])
    np.testing.assert_array_equal(splits.validation[:, 0].numpy(), pixels[50_000:])


@pytest.mark.parametrize(
    "content", [b"", b"\x89PNG", b"\0\0\x08\x03", b"\0\0\x08\x03" + struct.pack(">3I", 9, 9, 9)]
)
def test_a_damaged_idx_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "damaged"
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        read_idx(path)


def test_a_damaged_gzip_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "damaged.gz"
    packed = bytearray(gzip.compress(bytes(1000)))
    packed[12:16] = b"\xff\xff\xff\xff"
    path.write_bytes(packed)
    with pytest.raises(DataError, match=r"damaged\.gz cannot be read"):
        read_idx(path)


def test_an_idx_file_of_something_else_is_named(tmp_path: Path) -> None:
    labels = b"\0\0\x08\x01" + struct.pack(">I", 60_000) + bytes(60_000)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(labels)
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte has the shape \(60000,\)"):
        load_splits(folder_config(tmp_path, "mnist"))


def test_the_split_is_the_same_for_the_same_seed_and_covers_everything() -> None:
    train, validation = seeded_split(10, validation_fraction=0.2, seed=4)
    assert sorted(train + validation) == list(range(10))
    assert (train, validation) == seeded_split(10, validation_fraction=0.2, seed=4)
    assert (train, validation) != seeded_split(10, validation_fraction=0.2, seed=5)
    assert len(validation) == 2


def test_fashion_mnist_is_read_from_the_real_files(real_data: Path) -> None:
    splits = load_splits(load_preset("fashion-mnist", changes={"data.root": real_data / "fashion-mnist"}))
    assert splits.train.shape == (50_000, 1, 28, 28)
    assert splits.validation.shape == (10_000, 1, 28, 28)
    assert float(splits.train.float().mean()) == pytest.approx(72.9, abs=0.5)  # 0.286 of 255, as published
