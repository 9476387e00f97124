"""What the device can do with a batch: each operation is one function from tensor to tensors.

Images are uint8 (B, H, W, C) on both sides, the order of PNG's rows, so that the host never transposes.

Shapes: B batch, H height, W width, C channels, D latent size.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Any

import numpy.typing as npt
from torch import Tensor

Array = npt.NDArray[Any]
Arrays = tuple[Array, ...]
Program = Callable[[Tensor], tuple[Tensor, ...]]


class Operation(StrEnum):
    """The kinds of batches.

    DECODE takes z float32 (B, D) and gives images; ENCODE takes images and gives mu and log_var,
    float32 (B, D); RECONSTRUCT takes images and gives the images decoded from their mu, mu and log_var;
    SCORE takes images and gives what service.scoring.measurement.measure does. A model may be without it.
    """

    DECODE = "decode"
    ENCODE = "encode"
    RECONSTRUCT = "reconstruct"
    SCORE = "score"


def programs(
    encode: Callable[[Tensor], tuple[Tensor, Tensor]],
    decode: Callable[[Tensor], Tensor],
    measure: Program | None,
) -> dict[Operation, Program]:
    """Build every operation from functions that take images as (B, C, H, W); without `measure` no SCORE."""

    def run_decode(z: Tensor) -> tuple[Tensor, ...]:
        return (decode(z).permute(0, 2, 3, 1).contiguous(),)

    def run_encode(images: Tensor) -> tuple[Tensor, ...]:
        return encode(images.permute(0, 3, 1, 2))

    def run_reconstruct(images: Tensor) -> tuple[Tensor, ...]:
        mu, log_var = run_encode(images)
        return *run_decode(mu), mu, log_var

    known: dict[Operation, Program] = {
        Operation.DECODE: run_decode,
        Operation.ENCODE: run_encode,
        Operation.RECONSTRUCT: run_reconstruct,
    }
    if measure is not None:
        known[Operation.SCORE] = lambda images: measure(images.permute(0, 3, 1, 2))
    return known
