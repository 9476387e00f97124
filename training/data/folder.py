"""Any folder of images, class folders and all, parted into training and validation by the seed."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import torch

from training.config import DataConfig
from training.data.files import read_files
from training.data.splits import ImageSplits, seeded_split
from training.errors import DataError

logger = logging.getLogger(__name__)

# With fewer a network learns them by heart, and what validation says hangs on a handful of images.
FEW_IMAGES = 200

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


def load_folder(root: Path, *, config: DataConfig, seed: int) -> ImageSplits:
    """All images in a folder and below it, in the order of their names, parted by the seed.

    Raises:
        DataError: Fewer than two images.
    """
    paths = folder_paths(root, config=config, seed=seed)
    num_train, num_validation = len(paths["train"]), len(paths["validation"])
    if num_train + num_validation < FEW_IMAGES:
        few = f"{num_train} images to train on and {num_validation} to judge by are few"
        logger.warning("%s: expect them learnt by heart; a thousand is a start", few)
    train, validation = (
        limited(paths[part], limit=config.limit, seed=seed) for part in ("train", "validation")
    )
    return ImageSplits(read_files(train, config=config), read_files(validation, config=config))


def folder_paths(root: Path, *, config: DataConfig, seed: int) -> dict[str, list[Path]]:
    """The files of the parts train and validation.

    Raises:
        DataError: Fewer than two images.
    """
    paths = sorted(_image_files(root))
    if len(paths) < 2:
        found = f"one image, {paths[0].name}: two are the least" if paths else "no images"
        raise DataError(f"{root} holds {found} (looked for {' '.join(SUFFIXES)}, in subfolders too)")
    train, validation = seeded_split(len(paths), validation_fraction=config.validation_fraction, seed=seed)
    return {"train": [paths[i] for i in train], "validation": [paths[i] for i in validation]}


def limited(paths: list[Path], *, limit: int | None, seed: int) -> list[Path]:
    """So many of them, chosen by the seed from all over the folder, whose subfolders may be classes."""
    order = torch.randperm(len(paths), generator=torch.Generator().manual_seed(seed))
    return [paths[index] for index in order[:limit].sort().values]


def _image_files(root: Path) -> Iterator[Path]:
    """Those in a folder and below it, each once however many links lead to it; nothing that is hidden."""
    seen: set[Path] = set()
    for name, folders, files in os.walk(root, followlinks=True, onerror=_say_that_it_is_left_out):
        folder = Path(name)
        target = folder.resolve()
        if target in seen:  # a link that leads back, say
            folders.clear()
            continue
        seen.add(target)
        folders[:] = sorted(filter(_is_shown, folders))
        for file in sorted(filter(_is_shown, files)):
            path = folder / file
            if path.suffix.lower() not in SUFFIXES or not _is_a_file(path):
                continue
            target_of_file = path.resolve() if path.is_symlink() else target / file
            if target_of_file not in seen:
                seen.add(target_of_file)
                yield path


def _is_shown(name: str) -> bool:
    return not name.startswith(".") and name != "__MACOSX"


def _is_a_file(path: Path) -> bool:
    """A broken link counts, to be named like a file that cannot be read; a pipe or a device does not."""
    return path.is_file() or not path.exists()


def _say_that_it_is_left_out(error: OSError) -> None:
    logger.warning("left out the folder %s: %s", error.filename, error.strerror)
