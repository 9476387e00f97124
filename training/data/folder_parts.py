"""The parts of a plain folder of images; its subfolders, where every image is in one, are classes."""

from pathlib import Path

import torch

from training.config import DataConfig
from training.data.files import read_kept
from training.data.folder import folder_paths, limited
from training.data.labels import LabelledImages, as_classes


def load_folder_part(root: Path, part: str, *, config: DataConfig, seed: int) -> LabelledImages:
    """The images of one part, less those that cannot be decoded; with classes where there are two.

    Raises:
        DataError: Fewer than two images, or none that can be decoded.
    """
    parts = folder_paths(root, config=config, seed=seed)
    paths = limited(parts[part], limit=config.limit, seed=seed)
    images, kept = read_kept(paths, config=config)
    classes = sorted({_class(path, root) for one in parts.values() for path in one})
    if len(classes) < 2 or "" in classes:
        return LabelledImages(images, None)
    indices = torch.tensor([classes.index(_class(paths[index], root)) for index in kept])
    return LabelledImages(images, as_classes(indices, classes))


def _class(path: Path, root: Path) -> str:
    """The subfolder of the root that a file is in, nothing where it is in none."""
    inner = path.relative_to(root).parts
    return inner[0] if len(inner) > 1 else ""
