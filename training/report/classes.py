"""One class for each image, for colour, from the labels that a data set comes with.

Shapes: N images.
"""

import dataclasses

import torch
from torch import Tensor

from training.data.labels import Labels
from training.errors import ConfigError

MAX_CLASSES = 10
FASHION = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Classes:
    """Up to ten classes.

    Attributes:
        names: Of the classes.
        indices: int64 (N,), the class of each image.
    """

    names: tuple[str, ...]
    indices: Tensor

    def at(self, chosen: Tensor) -> "Classes":
        """Those of the chosen images, int64 (M,)."""
        return Classes(self.names, self.indices[chosen])


def classes_from(labels: Labels | None, *, dataset: str, attribute: str | None) -> Classes | None:
    """Exclusive labels as they are, or one attribute: with it and without; None where there is neither.

    Raises:
        ConfigError: The images have no such attribute.
    """
    if attribute is not None:
        return _of_attribute(labels, attribute)
    if labels is None or not labels.exclusive:
        return None
    names = FASHION if dataset == "fashion-mnist" else labels.names
    return _most_frequent(names, labels.values.argmax(dim=1))


def _of_attribute(labels: Labels | None, attribute: str) -> Classes:
    if labels is None or labels.exclusive:
        raise ConfigError(
            f"the images have no attribute {attribute!r}: only CelebA has, if list_attr_celeba is there"
        )
    if attribute not in labels.names:
        raise ConfigError(f"there is no attribute {attribute!r}; there are {', '.join(labels.names)}")
    return Classes((f"not {attribute}", attribute), labels.values[:, labels.names.index(attribute)].long())


def _most_frequent(names: tuple[str, ...], indices: Tensor) -> Classes:
    """No more than ten classes: the rarest become one, "others"."""
    if len(names) <= MAX_CLASSES:
        return Classes(names, indices)
    frequent = indices.bincount(minlength=len(names)).argsort(descending=True, stable=True)[: MAX_CLASSES - 1]
    places = torch.full((len(names),), len(frequent))
    places[frequent] = torch.arange(len(frequent))
    return Classes((*(names[index] for index in frequent), "others"), places[indices])
