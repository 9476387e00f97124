"""Batches on a CUDA device: one captured graph for each operation and bucket, fed from pinned memory.

Each graph has two slots, so that a second batch is copied in while the first computes and a
first is copied out while the second computes. Copies run on streams of their own, ordered by events.

Sources: PyTorch's notes on CUDA semantics, sections "CUDA graphs" and "Use pinned memory buffers":
three warm-up runs on a side stream before capture, static input and output tensors.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from service.vae.operations import Array, Arrays, Operation, Program

NUM_SLOTS = 2
NUM_WARM_UPS = 3


class CudaExecutor:
    """Runs batches as CUDA graphs, captured when a size is first asked for (at warm-up).

    At most NUM_SLOTS launches may be waiting at a time, and one thread only may use it.

    Args:
        programs: What to run for each operation.
        device: A CUDA device.
    """

    def __init__(self, programs: Mapping[Operation, Program], device: torch.device) -> None:
        self._programs = programs
        self._device = device
        # TorchScript's fuser compiles kernels anew for some of the first batches of a size, and a graph must
        # not be captured meanwhile; nor may a fused kernel round otherwise at one size than at another.
        torch._C._jit_set_texpr_fuser_enabled(False)
        self._streams = _Streams(device)
        self._slots: dict[tuple[Operation, int], itertools.cycle[_Slot]] = {}

    def prepare_thread(self) -> None:
        """Make the device the calling thread's own."""
        torch.cuda.set_device(self._device)

    def launch(self, operation: Operation, parts: Sequence[Array], size: int) -> Callable[[], Arrays]:
        """Start the rows of `parts` in a batch of `size`; the returned function waits for its results."""
        key = (operation, size)
        if key not in self._slots:
            self._slots[key] = itertools.cycle(
                [self._make_slot(operation, parts[0], size) for _ in range(NUM_SLOTS)]
            )
        return next(self._slots[key]).launch(parts)

    def _make_slot(self, operation: Operation, part: Array, size: int) -> "_Slot":
        example = torch.from_numpy(np.zeros((size, *part.shape[1:]), part.dtype))
        return _Slot(self._programs[operation], example, self._streams)


class _Streams:
    """The three streams that batches pass through: in, compute, out; and the memory of all graphs."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.copy_in = torch.cuda.Stream(device)
        self.compute = torch.cuda.Stream(device)
        self.copy_out = torch.cuda.Stream(device)
        # Graphs may share memory: they are replayed one after another, and nothing in it outlives a replay.
        self.pool = torch.cuda.graph_pool_handle()


class _Slot:
    """One captured graph with its static tensors on the device and their pinned mirrors on the host."""

    def __init__(self, program: Program, example: Tensor, streams: _Streams) -> None:
        self._streams = streams
        self._host_input = example.pin_memory()
        self._input = example.to(streams.device)
        self._arrived, self._computed = torch.cuda.Event(), torch.cuda.Event()
        # The thread sleeps until it: spinning would take a core from the codecs.
        self._returned = torch.cuda.Event(blocking=True)
        with torch.inference_mode():
            self._outputs = self._capture(program)
        self._host_outputs = [torch.empty_like(output, device="cpu").pin_memory() for output in self._outputs]

    def launch(self, parts: Sequence[Array]) -> Callable[[], Arrays]:
        num = sum(len(part) for part in parts)
        rows = self._host_input.numpy()
        np.concatenate(parts, out=rows[:num])
        rows[num:] = 0
        with torch.cuda.stream(self._streams.copy_in):
            self._input.copy_(self._host_input, non_blocking=True)
            self._arrived.record()
        with torch.cuda.stream(self._streams.compute):
            self._streams.compute.wait_event(self._arrived)
            self._graph.replay()
            self._computed.record()
        with torch.cuda.stream(self._streams.copy_out):
            self._streams.copy_out.wait_event(self._computed)
            for host, output in zip(self._host_outputs, self._outputs, strict=True):
                host.copy_(output, non_blocking=True)
            self._returned.record()
        return lambda: self._wait(num)

    def _wait(self, num: int) -> Arrays:
        self._returned.synchronize()
        # Copied, because the next launch in this slot overwrites the pinned memory.
        return tuple(host[:num].numpy().copy() for host in self._host_outputs)

    def _capture(self, program: Program) -> list[Tensor]:
        """Warm up, capture, and return the tensors that each replay writes its results to.

        The graph ends by copying its results into tensors of this slot's own, so that a replay of
        another graph cannot overwrite them before they are copied out.
        """
        compute = self._streams.compute
        compute.wait_stream(torch.cuda.current_stream(self._streams.device))
        with torch.cuda.stream(compute):
            for _ in range(NUM_WARM_UPS):
                results = program(self._input)
            outputs = [torch.empty_like(result) for result in results]
        compute.synchronize()
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(
            self._graph, pool=self._streams.pool, stream=compute, capture_error_mode="thread_local"
        ):
            for output, result in zip(outputs, program(self._input), strict=True):
                output.copy_(result)
        return outputs
