"""What an error of the device means for what comes after it.

PyTorch has a class for each kind, but an error that passes through TorchScript's interpreter keeps only its
text (torch/csrc/jit/runtime/interpreter.cpp, handleError), and the CPU's allocator has no class at all.
"""

from enum import StrEnum

import torch

OUT_OF_MEMORY_TEXTS = ("out of memory", "can't allocate memory", "not enough memory")
LOST_TEXTS = ("CUDA error", "CUDA driver error")


class Fault(StrEnum):
    """OOM: a smaller batch may fit. LOST: nothing works here any more. OTHER: this batch failed."""

    OOM = "oom"
    LOST = "lost"
    OTHER = "other"


def fault_of(error: BaseException) -> Fault:
    """Say of which kind an error is.

    Most errors of a CUDA call are sticky: whatever is called after them fails too. Those that are not cannot
    be told apart with certainty, and a restart is the safe answer to them; lack of memory is the exception.
    """
    text = str(error)
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return Fault.OOM
    if isinstance(error, RuntimeError) and any(words in text for words in OUT_OF_MEMORY_TEXTS):
        return Fault.OOM
    if isinstance(error, torch.AcceleratorError) or not isinstance(error, Exception):
        return Fault.LOST
    if isinstance(error, RuntimeError) and any(words in text for words in LOST_TEXTS):
        return Fault.LOST
    return Fault.OTHER
