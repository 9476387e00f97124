"""Images for training and validation, from the data set that a config names."""

from pathlib import Path

from training.config import Config, DataConfig
from training.data.celeba import load_celeba
from training.data.folder import load_folder
from training.data.idx import load_idx
from training.data.splits import ImageSplits, seeded_split
from training.data.sprites import Sprites, draw_sprites
from training.data.static_mnist import load_static_mnist
from training.errors import DataError

NUM_SPRITES = 24_000


def load_splits(config: Config) -> ImageSplits:
    """Read, or draw, the images of a run.

    Raises:
        DataError: In one line, naming the folder or file, and the remedy.
    """
    if config.data.dataset == "sprites":
        return ImageSplits(*(part.images for part in sprite_splits(config.data, seed=config.seed)))
    root = checked_root(config.data)
    if config.data.dataset == "celeba":
        return load_celeba(root, config=config.data, seed=config.seed)
    if config.data.dataset == "folder":
        return load_folder(root, config=config.data, seed=config.seed)
    if config.data.dataset == "static-mnist":
        return load_static_mnist(root, config=config.data)
    return load_idx(root, config=config.data)


def checked_root(config: DataConfig) -> Path:
    """The folder of a data set that is not drawn.

    Raises:
        DataError: None is given, or it is missing, empty or a file.
    """
    if config.root is None:
        raise DataError(f"the data set {config.dataset!r} needs its folder: add --data DIR")
    if not config.root.is_dir():
        problem = "is a file, not a folder" if config.root.exists() else "does not exist"
        raise DataError(f"the data folder {config.root} {problem}")
    try:
        is_empty = not any(config.root.iterdir())
    except OSError as error:
        raise DataError(f"the data folder {config.root} cannot be listed: {error.strerror}") from None
    if is_empty:
        raise DataError(f"the data folder {config.root} is empty")
    return config.root


def sprite_splits(config: DataConfig, *, seed: int) -> tuple[Sprites, Sprites]:
    """Sprites for training and for validation.

    Raises:
        DataError: The images are to be grey.
    """
    num_channels, height, width = config.image_shape
    if num_channels != 3:
        raise DataError(f"sprites are in colour: data.image_shape needs 3 channels, not {num_channels}")
    num_sprites = NUM_SPRITES if config.limit is None else min(NUM_SPRITES, 2 * config.limit)
    train, validation = seeded_split(num_sprites, validation_fraction=config.validation_fraction, seed=seed)
    sprites = draw_sprites(num_sprites, height=height, width=width, seed=seed)
    return sprites.at(train[: config.limit]), sprites.at(validation[: config.limit])
