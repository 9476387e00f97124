"""Which errors of a device can be survived, by their class and, where TorchScript lost it, by their text."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from service import checkpoint
from service.metrics import DEVICE_FAILURES
from service.scripted import as_vae, without_deprecation_warning
from service.vae.faults import Fault, fault_of
from service.vae.precision import Precision
from service.vae.runtime import Runtime
from tests import tiny_vae

IN_TORCHSCRIPT = "The following operation failed in the TorchScript interpreter.\nRuntimeError: "
FITS = 20


class Greedy(tiny_vae.TinyVAE):
    """Wants some petabytes for a batch of more than FITS."""

    @torch.jit.export
    def decode(self, z: Tensor) -> Tensor:
        wanted = torch.empty([max(0, z.size(0) - 20) << 50])
        pixels = (z.to(self.decode_weight.dtype) @ self.decode_weight).float() + 128.0 + wanted.sum()
        return pixels.round().clamp(0.0, 255.0).to(torch.uint8).view(-1, 3, 8, 8)


@pytest.fixture
def greedy_checkpoint(tmp_path: Path) -> checkpoint.Checkpoint:
    path = tmp_path / "greedy.pt"
    with without_deprecation_warning():
        checkpoint.save(path, torch.jit.script(Greedy().eval()), tiny_vae.metadata())
    return checkpoint.load(path)


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"), Fault.OOM),
        (torch.AcceleratorError("CUDA error: out of memory"), Fault.OOM),
        (RuntimeError(f"{IN_TORCHSCRIPT}CUDA out of memory. Tried to allocate 20.00 MiB"), Fault.OOM),
        (MemoryError(), Fault.OOM),
        (torch.AcceleratorError("CUDA error: device-side assert triggered"), Fault.LOST),
        (RuntimeError(f"{IN_TORCHSCRIPT}CUDA error: unspecified launch failure"), Fault.LOST),
        (SystemExit(1), Fault.LOST),
        (KeyboardInterrupt(), Fault.LOST),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), Fault.OTHER),
        (ValueError("out of memory"), Fault.OTHER),
    ],
    ids=str,
)
def test_an_error_is_of_its_kind(error: BaseException, fault: Fault) -> None:
    assert fault_of(error) is fault


def test_every_kind_is_one_that_is_counted() -> None:
    assert set(Fault) <= set(DEVICE_FAILURES)


def test_what_the_allocator_of_the_host_says_inside_torchscript_is_lack_of_memory(
    greedy_checkpoint: checkpoint.Checkpoint,
) -> None:
    with pytest.raises(RuntimeError) as caught:
        as_vae(greedy_checkpoint.module).decode(torch.zeros(FITS + 1, 4))
    assert type(caught.value) is RuntimeError
    assert fault_of(caught.value) is Fault.OOM


def test_sizes_for_which_there_is_no_memory_are_no_buckets(greedy_checkpoint: checkpoint.Checkpoint) -> None:
    runtime = Runtime(greedy_checkpoint, torch.device("cpu"), precision=Precision.FLOAT32)
    assert all(max(sizes) <= FITS for sizes in runtime.seconds.values())
