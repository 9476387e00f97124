"""One part of a data set with its labels: what a trained network is measured on.

A part holds the same images as `load_splits` gives: the split is that of the run, by its own seed.
"""

from typing import Literal

from training.config import DataConfig
from training.data import checked_root, sprite_splits
from training.data.celeba_parts import load_celeba_part
from training.data.folder_parts import load_folder_part
from training.data.idx_parts import load_idx_part
from training.data.labels import LabelledImages, as_classes
from training.data.sprites import SHAPES
from training.data.static_mnist import load_static_part
from training.errors import DataError

Part = Literal["train", "validation", "test"]

DATASETS_WITH_TEST_PART = ("mnist", "static-mnist", "fashion-mnist", "celeba")


def load_part(part: Part, *, config: DataConfig, seed: int) -> LabelledImages:
    """Read, or draw, one part; `config.limit` holds for training and validation images, not for test images.

    Raises:
        DataError: The data set has no such part, or is not laid out as announced.
    """
    if part == "test" and config.dataset not in DATASETS_WITH_TEST_PART:
        raise DataError(
            f"the data set {config.dataset!r} has no test split: use --split validation, the images that the "
            "run did not train on"
        )
    if config.dataset == "sprites":
        return _sprites(part, config=config, seed=seed)
    root = checked_root(config)
    if config.dataset == "celeba":
        return load_celeba_part(root, part, config=config, seed=seed)
    if config.dataset == "folder":
        return load_folder_part(root, part, config=config, seed=seed)
    if config.dataset == "static-mnist":
        limit = None if part == "test" else config.limit
        return LabelledImages(load_static_part(root, part, config=config)[:limit], None)
    return load_idx_part(root, part, config=config)


def _sprites(part: Part, *, config: DataConfig, seed: int) -> LabelledImages:
    train, validation = sprite_splits(config, seed=seed)
    chosen = train if part == "train" else validation
    return LabelledImages(chosen.images, as_classes(chosen.shape, SHAPES))
