"""Whether the images that are there are those that were there before: else a split is another split."""

import logging
import zlib

from torch import Tensor

logger = logging.getLogger(__name__)

NUM_FINGERPRINTED = 4096


def fingerprint(images: Tensor) -> int:
    """A checksum of up to some thousand images, uint8 (N, C, H, W), from all over the set."""
    some = images[:: max(1, len(images) // NUM_FINGERPRINTED)]
    return zlib.crc32(some.numpy().tobytes())


def warn_of_others(images: Tensor, *, expected: int | None) -> None:
    """Say so where images, uint8 (N, C, H, W), are not those of the run that it is about.

    Args:
        images: One part, whole, as it is read now.
        expected: The fingerprint of that part in the run; None where nobody knows it.
    """
    if expected is not None and fingerprint(images) != expected:
        logger.warning(
            "the images have changed since the run, and with them the split: what is measured on may have "
            "been trained on, which makes figures too good"
        )
