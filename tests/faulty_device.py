"""A fault that a test plants in a live server's device, begun and ended by writing and removing a file."""

from pathlib import Path

# What the device does with each batch while the file says so.
FAULTS = {
    # What PyTorch raises once a CUDA context is broken.
    "lost": 'raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")',
    "thread ends": "raise SystemExit(1)",
    # In C code, for ever, as in a driver that waits for a card that is gone.
    "hangs for ever": "ctypes.CDLL(None).sleep(3600)",
    "hangs": "while path.exists(): time.sleep(0.005)",
}
PRELUDE = """
import ctypes, pathlib, time, torch
from service.vae.cpu import CpuExecutor
path = pathlib.Path({path!r})
faults = {faults!r}
launch = CpuExecutor.launch
def launch_or_fail(self, operation, parts, size):
    if path.exists():
        exec(faults[path.read_text()])
    return launch(self, operation, parts, size)
CpuExecutor.launch = launch_or_fail
"""


class FaultyDevice:
    """Says what the device of a live server does.

    Args:
        folder: Where the file is written.

    Attributes:
        prelude: Python for LiveServer; the server must run on the CPU.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "fault"
        self.prelude = PRELUDE.format(path=str(self._path), faults=FAULTS)

    def begin(self, fault: str) -> None:
        """Let every batch meet one of FAULTS from now on."""
        assert fault in FAULTS
        written = self._path.with_suffix(".new")
        written.write_text(fault)
        written.replace(self._path)

    def end(self) -> None:
        """Let the device work again."""
        self._path.unlink()
