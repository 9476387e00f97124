"""The images that a checkpoint is measured on: its test split, or what its run did not train on.

Shapes: N images, C channels, H height, W width.
"""

import dataclasses

import torch
from torch import Tensor

from training.config import DataConfig
from training.data.batches import binarized
from training.data.fingerprint import warn_of_others
from training.data.labels import Labels
from training.data.parts import DATASETS_WITH_TEST_PART, Part, load_part
from training.data.splits import evenly_spaced
from training.errors import EvaluationError

TEST_BINARIZATION_SEED = 777  # the test images of a data set are always the same binary ones


@dataclasses.dataclass(frozen=True)
class EvaluatedImages:
    """Images of one split.

    Attributes:
        split: Which.
        shown: uint8 (N, C, H, W), as the network is shown them: binary where its config binarizes.
        original: uint8 (N, C, H, W), the same in grey: what decoded pixels, being means, are set beside.
        labels: Of these images; None where the data set has none.
        binarization_seed: None where they are not binarized.
    """

    split: Part
    shown: Tensor
    original: Tensor
    labels: Labels | None
    binarization_seed: int | None


def load_evaluated(
    config: DataConfig, *, seed: int, split: Part | None, limit: int | None, expected: int | None = None
) -> EvaluatedImages:
    """Read a split, by default the test split where the data set has one, else the validation split.

    Binary pixels are drawn once: test images by a seed that never changes, validation images by the run's.

    Args:
        config: Of the run.
        seed: Of the run.
        split: Which.
        limit: Take only so many images: the first of a test split, as papers do, or from all over the others,
            which a folder's classes may have sorted.
        expected: The fingerprint of the run's validation images, if it is known; others are warned of.

    Raises:
        DataError: The images are not there.
        EvaluationError: There are fewer than two.
    """
    split = split or ("test" if config.dataset in DATASETS_WITH_TEST_PART else "validation")
    part = load_part(split, config=config, seed=seed)
    if split == "validation":
        warn_of_others(part.images, expected=expected)
    binarization_seed = None
    shown = part.images
    if config.binarize:
        binarization_seed = TEST_BINARIZATION_SEED if split == "test" else seed
        shown = binarized(shown, generator=torch.Generator().manual_seed(binarization_seed))
    if min(len(shown), limit or len(shown)) < 2:
        num = f"the {split} split has {len(shown)}" if limit is None else f"--limit {limit} leaves one"
        raise EvaluationError(f"two images are the least to evaluate on; {num}")
    chosen: slice | Tensor = slice(limit)
    if limit is not None and split != "test":
        chosen = evenly_spaced(len(shown), min(limit, len(shown)))
    labels = part.labels and dataclasses.replace(part.labels, values=part.labels.values[chosen])
    return EvaluatedImages(split, shown[chosen], part.images[chosen], labels, binarization_seed)
