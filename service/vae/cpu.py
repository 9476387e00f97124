"""Batches on the CPU: computed where they are launched, on the one core of the calling thread.

One batch a core with one thread each beats one batch on all cores: no barrier between layers, and the
additions inside a batch keep one order.
"""

import ctypes
import sys
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from service.vae.operations import Array, Arrays, Operation, Program

# Of glibc's malloc.h: blocks above the first are mapped, free memory above the second is given back.
M_MMAP_THRESHOLD, M_TRIM_THRESHOLD = -3, -1
MAX_MMAP_THRESHOLD_BYTES = 32 * 1024**2
NEVER_TRIM_BYTES = 2**31 - 1


def keep_freed_memory() -> None:
    """Let the allocator keep what layers free, for the next batch.

    Otherwise each activation of some megabytes is mapped, touched page by page and unmapped again, which
    takes up to a third of the time of a batch. Where the C library is not glibc, nothing is changed.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, MAX_MMAP_THRESHOLD_BYTES)
        mallopt(M_TRIM_THRESHOLD, NEVER_TRIM_BYTES)


class CpuExecutor:
    """Runs each batch to its end before `launch` returns.

    Args:
        programs: What to run for each operation.
    """

    def __init__(self, programs: Mapping[Operation, Program]) -> None:
        self._programs = programs

    def prepare_thread(self) -> None:
        """Bind the calling thread to one core's worth of work."""
        torch.set_num_threads(1)

    def launch(self, operation: Operation, parts: Sequence[Array], size: int) -> Callable[[], Arrays]:
        """Run the rows of `parts`, padded with zeros to `size`."""
        num = sum(len(part) for part in parts)
        first = parts[0]
        rows = np.empty((size, *first.shape[1:]), first.dtype)
        np.concatenate(parts, out=rows[:num])
        rows[num:] = 0
        with torch.inference_mode():
            results = self._programs[operation](torch.from_numpy(rows))
        outputs = tuple(result.numpy()[:num] for result in results)
        return lambda: outputs
