"""What is known of images beside their pixels: the class of each, or several attributes of each.

Shapes: N images, L labels.
"""

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor


@dataclasses.dataclass(frozen=True)
class Labels:
    """Which labels each image has.

    Attributes:
        names: Of the L labels.
        values: uint8 (N, L), 1 where the image has the label.
        exclusive: Each image has exactly one of them: they are classes.
    """

    names: tuple[str, ...]
    values: Tensor
    exclusive: bool

    def at(self, chosen: Tensor) -> "Labels":
        """Those of the chosen images, int64 (M,)."""
        return dataclasses.replace(self, values=self.values[chosen])


@dataclasses.dataclass(frozen=True)
class LabelledImages:
    """One part of a data set.

    Attributes:
        images: uint8 (N, C, H, W).
        labels: Of these images in this order; None where the data set has none.
    """

    images: Tensor
    labels: Labels | None


def as_classes(classes: Tensor, names: Sequence[str]) -> Labels:
    """Exclusive labels of class indices, int (N,), into the names."""
    values = torch.nn.functional.one_hot(classes.long(), len(names)).to(torch.uint8)
    return Labels(tuple(names), values, exclusive=True)
