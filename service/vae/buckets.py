"""Which batch sizes the device runs: measured, not guessed, and only those that give the same bits.

A batch is padded up to a bucket. Kernels choose their way of adding by the size of the batch, so the
smallest batches may differ in the last bit; a size that does is left out, and what would have used
it is padded to the next. So an answer never depends on what shared its batch.
"""

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from service.vae.operations import Array, Arrays

CPU_SIZES = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32)
FEW_SIZES = (1, 4, 16)
# Of the operation that takes longest and is not the one most asked for: no more than its start is worth.
SCORE_SIZES = (1, 2, 4, 8, 16, 64)
CUDA_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
# A larger batch must bring at least this share of the best throughput to be worth its latency.
GOOD_ENOUGH = 0.95
EFFICIENT = 0.85
# So many batches of a size are compared, spread over the rows of the largest.
MAX_CHUNKS = 16
# What a batch costs beside the device: it is formed and handed out, and finds caches full of other things.
OVERHEAD_SECONDS = 3e-4
# What it costs to have another thread take a part of one.
SPLIT_SECONDS = 1e-4


def measure(
    run: Callable[[Array], Arrays],
    inputs: Array,
    sizes: Sequence[int],
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[int, float]:
    """Seconds a batch of each size takes, for the sizes whose results equal the largest size's bit by bit.

    Rows are compared wherever they fall in a batch. Since small batches are what kernels treat apart, a size
    that differs rules out all below it.

    Args:
        run: Rows in, rows out; the first dimension is the batch.
        inputs: As many rows as the largest size.
        sizes: Ascending, the last one the reference.
        clock: Seconds; those of the thread where it computes itself, so that a busy machine does not mislead.
    """
    largest = sizes[-1]
    run(inputs)
    started = clock()
    reference = run(inputs)
    seconds = {largest: clock() - started}
    for size in reversed(sizes[:-1]):
        run(inputs[:size])
        fastest = float("inf")
        for first in range(0, largest, max(size, largest // MAX_CHUNKS)):
            start = min(first, largest - size)
            rows = slice(start, start + size)
            started = clock()
            results = run(inputs[rows])
            fastest = min(fastest, clock() - started)
            if not all(np.array_equal(a, b[rows]) for a, b in zip(results, reference, strict=True)):
                return seconds
        seconds[size] = fastest
    return seconds


def choose(seconds: Mapping[int, float]) -> tuple[int, ...]:
    """Choose the buckets from measured seconds a batch, ascending.

    The largest is the smallest size with nearly the best throughput: a larger batch would only wait longer.
    """
    largest = _smallest_with(GOOD_ENOUGH, seconds, OVERHEAD_SECONDS)
    return tuple(sorted(size for size in seconds if size <= largest))


def efficient(seconds: Mapping[int, float]) -> int:
    """The size below which work is not spread over idle threads: it would cost more than it saves."""
    return _smallest_with(EFFICIENT, seconds, SPLIT_SECONDS)


def _smallest_with(share: float, seconds: Mapping[int, float], more: float) -> int:
    """The smallest size that has a share of the best throughput at least, each taking some seconds more."""
    throughput = {size: size / (took + more) for size, took in seconds.items()}
    best = max(throughput.values())
    return min(size for size in seconds if throughput[size] >= share * best)
