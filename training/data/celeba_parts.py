"""The parts of CelebA with the attributes of each face, where the list of them is beside the partition.

Kaggle        list_attr_celeba.csv   image_id,5_o_Clock_Shadow,...   000001.jpg,-1,1,...
the original  list_attr_celeba.txt   a count, a line of names, then  000001.jpg -1 1 ...
"""

from pathlib import Path

import torch

from training.config import DataConfig
from training.data.celeba import celeba_paths, find_partition_file
from training.data.files import read_kept
from training.data.labels import LabelledImages, Labels
from training.errors import DataError


def load_celeba_part(root: Path, part: str, *, config: DataConfig, seed: int) -> LabelledImages:
    """The images of one part, less those that cannot be decoded, with their attributes.

    Raises:
        DataError: The part has no images, or the list of attributes does not cover them.
    """
    paths = celeba_paths(root, config=config, seed=seed)[part]
    if not paths:
        partition_file = find_partition_file(root)[1]
        raise DataError(f"{partition_file} lists no image of the {part} part: use --split validation")
    images, kept = read_kept(paths if part == "test" else paths[: config.limit], config=config)
    attribute_file = _find_attribute_file(root)
    if attribute_file is None:
        return LabelledImages(images, None)
    return LabelledImages(images, _labels(attribute_file, [paths[index].name for index in kept]))


def _find_attribute_file(root: Path) -> Path | None:
    folder = find_partition_file(root)[0]
    found = [folder / f"list_attr_celeba.{suffix}" for suffix in ("csv", "txt")]
    return next((path for path in found if path.is_file()), None)


def _labels(path: Path, names: list[str]) -> Labels:
    """The attributes of the named files, in their order."""
    words = [line.replace(",", " ").split() for line in path.read_text().splitlines()]
    heading = next((line for line in words if len(line) > 1), [])
    attributes = tuple(word for word in heading if word != "image_id")
    rows = {line[0]: line[1:] for line in words if len(line) == len(attributes) + 1 and line != heading}
    try:
        values = torch.tensor([[int(value) > 0 for value in rows[name]] for name in names], dtype=torch.uint8)
    except (KeyError, ValueError) as error:
        raise DataError(
            f"{path} has no line of {len(attributes)} attributes, each 1 or -1, for {error}"
        ) from None
    return Labels(attributes, values, exclusive=False)
