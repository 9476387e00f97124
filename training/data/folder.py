"""Any folder of images, class folders and all, parted into training and validation by the seed."""

from pathlib import Path

from training.config import DataConfig
from training.data.files import read_files
from training.data.splits import ImageSplits, seeded_split
from training.errors import DataError

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


def load_folder(root: Path, *, config: DataConfig, seed: int) -> ImageSplits:
    """All images in a folder and below it, in the order of their names, parted by the seed.

    Raises:
        DataError: Fewer than two images.
    """
    paths = folder_paths(root, config=config, seed=seed)
    return ImageSplits(
        read_files(paths["train"][: config.limit], config=config),
        read_files(paths["validation"][: config.limit], config=config),
    )


def folder_paths(root: Path, *, config: DataConfig, seed: int) -> dict[str, list[Path]]:
    """The files of the parts train and validation.

    Raises:
        DataError: Fewer than two images.
    """
    paths = sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if len(paths) < 2:
        found = f"one image, {paths[0].name}: two are the least" if paths else "no images"
        raise DataError(f"{root} holds {found} (looked for {' '.join(SUFFIXES)}, in subfolders too)")
    train, validation = seeded_split(len(paths), validation_fraction=config.validation_fraction, seed=seed)
    return {"train": [paths[i] for i in train], "validation": [paths[i] for i in validation]}
