"""The parts of MNIST and Fashion-MNIST with the class of each image.

Shapes: N images.
"""

from pathlib import Path

import torch
from torch import Tensor

from training.config import DataConfig
from training.data.idx import FOLDERS, NUM_TRAINING_IMAGES, as_inputs, find_idx, read_idx
from training.data.labels import LabelledImages, as_classes
from training.errors import DataError

PARTS = {
    "train": ("train", slice(None, NUM_TRAINING_IMAGES)),
    "validation": ("train", slice(NUM_TRAINING_IMAGES, None)),
    "test": ("t10k", slice(None)),
}
CLASSES = tuple("0123456789")


def load_idx_part(root: Path, part: str, *, config: DataConfig) -> LabelledImages:
    """The first 50,000 training images, the last 10,000, or the test images; and their classes, if there.

    Raises:
        DataError: Naming the file that is missing or damaged.
    """
    prefix, rows = PARTS[part]
    limit = None if part == "test" else config.limit
    pixels = read_idx(find_idx(root, FOLDERS[config.dataset], f"{prefix}-images-idx3-ubyte"))
    if pixels.ndim != 3 or not len(pixels[rows]):
        raise DataError(
            f"the {prefix} images in {root} have the shape {pixels.shape}: pictures were expected"
        )
    images = as_inputs(pixels[rows][:limit], config)
    classes = _read_classes(root, prefix, dataset=config.dataset, num_images=len(pixels))
    return LabelledImages(images, None if classes is None else as_classes(classes[rows][:limit], CLASSES))


def _read_classes(root: Path, prefix: str, *, dataset: str, num_images: int) -> Tensor | None:
    """int64 (N,); None where the file is not there, since images are of use without it."""
    try:
        path = find_idx(root, FOLDERS[dataset], f"{prefix}-labels-idx1-ubyte")
    except DataError:
        return None
    classes = read_idx(path)
    if classes.shape != (num_images,) or classes.max(initial=0) >= len(CLASSES):
        raise DataError(f"{path} does not hold a class of 0 to 9 for each of the {num_images} images")
    return torch.from_numpy(classes.astype("int64"))
