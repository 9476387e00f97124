"""CelebA (Liu et al. 2015) in torchvision's layout or Kaggle's, parted as its authors did.

    torchvision   celeba/list_eval_partition.txt   celeba/img_align_celeba/*.jpg
    Kaggle        celeba/list_eval_partition.csv   celeba/img_align_celeba/img_align_celeba/*.jpg

The folder `celeba/` itself may be given too. CelebA is for non-commercial research only.
"""

import logging
from pathlib import Path

from training.config import DataConfig
from training.data.files import read_files
from training.data.splits import ImageSplits, seeded_split
from training.errors import DataError

logger = logging.getLogger(__name__)

TRAIN, VALIDATION, TEST = "0", "1", "2"  # training never opens the test part


def load_celeba(root: Path, *, config: DataConfig, seed: int) -> ImageSplits:
    """The training and validation parts; where one is empty, the other is parted by the seed instead.

    Raises:
        DataError: Naming the file or folder of the layout that is not there.
    """
    paths = celeba_paths(root, config=config, seed=seed)
    return ImageSplits(
        read_files(paths["train"][: config.limit], config=config),
        read_files(paths["validation"][: config.limit], config=config),
    )


def celeba_paths(root: Path, *, config: DataConfig, seed: int) -> dict[str, list[Path]]:
    """The files of the parts train, validation and test, the last of which may be empty.

    Raises:
        DataError: Naming the file or folder of the layout that is not there.
    """
    folder, partition_file = find_partition_file(root)
    images = folder / "img_align_celeba"
    if (images / "img_align_celeba").is_dir():
        images = images / "img_align_celeba"
    if not images.is_dir():
        raise DataError(f"{images} does not exist: it should hold the .jpg files that {partition_file} lists")
    parts = _read_partition_file(partition_file)
    train, validation, test = (
        [images / name for name, part in parts if part == wanted] for wanted in (TRAIN, VALIDATION, TEST)
    )
    if not train or not validation:
        train, validation = _split_the_other(train or validation, config=config, seed=seed)
    return {"train": train, "validation": validation, "test": test}


def find_partition_file(root: Path) -> tuple[Path, Path]:
    """The folder of the layout, and the file in it that says which part each image belongs to.

    Raises:
        DataError: There is none.
    """
    for folder in (root / "celeba", root):
        for suffix in ("csv", "txt"):
            path = folder / f"list_eval_partition.{suffix}"
            if path.is_file():
                return folder, path
    raise DataError(
        f"{root} is no CelebA folder: neither list_eval_partition.csv (Kaggle) nor .txt (torchvision) is "
        "in it or in its celeba/; for a plain folder of images use --preset folder"
    )


def _read_partition_file(path: Path) -> list[tuple[str, str]]:
    """(file name, part) of every line; the Kaggle file has commas and a heading, the original has spaces."""
    words = [line.replace(",", " ").split() for line in path.read_text(errors="replace").splitlines()]
    parts = [(line[0], line[1]) for line in words if len(line) == 2 and line[1] in ("0", "1", "2")]
    if len(parts) < 2:
        raise DataError(f"{path} lists {len(parts)} images; a line is a file name and 0, 1 or 2")
    return parts


def _split_the_other(paths: list[Path], *, config: DataConfig, seed: int) -> tuple[list[Path], list[Path]]:
    if len(paths) < 2:
        raise DataError(f"CelebA's training and validation parts have {len(paths)} images: two are the least")
    train, validation = seeded_split(len(paths), validation_fraction=config.validation_fraction, seed=seed)
    logger.warning(
        "its training or validation part is empty: the other, %d images, is split %d to %d by seed %d",
        len(paths), len(train), len(validation), seed,
    )  # fmt: skip
    return [paths[i] for i in train], [paths[i] for i in validation]
