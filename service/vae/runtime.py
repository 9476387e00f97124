"""A loaded checkpoint on a device: its precision, its buckets, and running whole batches.

Synchronous and without a queue; the engine decides what is run and when.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

import torch

from service.checkpoint import Checkpoint
from service.metadata import Metadata
from service.scoring.likelihood import Likelihood
from service.scoring.measurement import DecodeLogits, Encode, fixed_signs, logits_of_pixels, measure
from service.vae import buckets
from service.vae.cpu import CpuExecutor, keep_freed_memory
from service.vae.cuda import CudaExecutor
from service.vae.faults import Fault, fault_of
from service.vae.noise import draw_noise
from service.vae.operations import Array, Arrays, Operation, Program, programs
from service.vae.precision import Precision, place_decoder, place_encoder, place_scorer

# Where the largest batch takes longer, fewer sizes are tried, so as not to delay the start.
SLOW_SECONDS = 1.0


class Executor(Protocol):
    """Runs programs on one kind of device."""

    def prepare_thread(self) -> None:
        """Called once by each thread that launches batches."""

    def launch(self, operation: Operation, parts: Sequence[Array], size: int) -> Callable[[], Arrays]:
        """Start a batch padded to `size` rows; the returned function waits for its results."""


class Runtime:
    """One checkpoint on one device, warmed and ready; inputs and outputs are those of Operation, in numpy.

    Args:
        checkpoint: As loaded, on the CPU.
        device: Where to run.
        precision: Of decoding.
        encode_precision: Of what gives numbers: of encoding, and of decoding in SCORE.
        max_batch_size: Upper bound on the buckets, None for the measured best.

    Attributes:
        metadata: The checkpoint's.
        prior: The checkpoint's.
        sha256: The checkpoint's.
        version: The first 12 digits of sha256, what answers are stamped with.
        precision: The precision of decoding in use.
        encode_precision: The precision of encoding in use.
        refusals: Why a precision was not taken, one sentence each.
        seconds: Measured seconds of a batch of each operation that there is, and of each bucket, ascending.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        device: torch.device,
        *,
        precision: Precision = Precision.AUTO,
        encode_precision: Precision = Precision.FLOAT32,
        max_batch_size: int | None = None,
    ) -> None:
        self.metadata = checkpoint.metadata
        self.prior = checkpoint.prior
        self.sha256 = checkpoint.sha256
        self.version = checkpoint.sha256[:12]
        self.device = device
        if device.type == "cpu":
            keep_freed_memory()
            torch.set_num_threads(1)
        decoder, slow_decoders = place_decoder(checkpoint, device, precision)
        encoder, slow_encoders = place_encoder(checkpoint, device, encode_precision)
        self.precision, self.encode_precision = decoder.precision, encoder.precision
        scorer, slow_scorers = place_scorer(checkpoint, device, encode_precision)
        self.refusals = slow_decoders + slow_encoders + slow_scorers
        decode_logits = logits_of_pixels(decoder.decode) if scorer is None else scorer.decode_logits
        measuring = _measure(checkpoint.metadata, device, encoder.encode, decode_logits)
        known = programs(encoder.encode, decoder.decode, measuring)
        self._operations = tuple(known)
        self._executor = _executor(known, device)
        self.seconds = self._warm_up(max_batch_size)

    @property
    def num_lanes(self) -> int | None:
        """How many threads may launch batches side by side; None for as many as there are cores."""
        return None if self.device.type == "cpu" else 1

    @property
    def num_staged(self) -> int:
        """How many batches a thread may launch ahead of the one that it waits for."""
        return 0 if self.device.type == "cpu" else 1

    def largest_bucket(self, operation: Operation) -> int:
        """The most rows that one batch can hold."""
        return max(self.seconds[operation])

    def efficient_batch(self, operation: Operation) -> int:
        """The rows below which a batch is not worth splitting over idle threads."""
        return buckets.efficient(self.seconds[operation])

    def bucket(self, operation: Operation, num: int) -> int:
        """The batch size that so many rows are padded to."""
        return next(size for size in self.seconds[operation] if size >= num)

    def prepare_thread(self) -> None:
        """Call once in each thread that launches batches."""
        self._executor.prepare_thread()

    def launch(self, operation: Operation, parts: Sequence[Array]) -> Callable[[], Arrays]:
        """Start a batch of the rows of `parts`; the returned function waits and gives as many rows."""
        num = sum(len(part) for part in parts)
        return self._executor.launch(operation, parts, self.bucket(operation, num))

    def release(self) -> None:
        """Give back the memory of the network, on the device too; nothing can be run from then on."""
        del self._executor

    def _warm_up(self, max_batch_size: int | None) -> Mapping[Operation, Mapping[int, float]]:
        """Run every operation at every candidate size, keep what is reproducible and worth its latency."""
        self.prepare_thread()
        sizes = self._candidate_sizes(max_batch_size)
        z = draw_noise(0, sizes[-1], self.metadata.latent_dim)
        (images,) = self._run(Operation.DECODE, z)
        inputs = {operation: z if operation is Operation.DECODE else images for operation in self._operations}
        clock = time.thread_time if self.device.type == "cpu" else time.perf_counter
        seconds = {}
        for operation, rows in inputs.items():
            tried = sizes
            if operation is Operation.SCORE:
                tried = tuple(size for size in sizes if size in (*buckets.SCORE_SIZES, sizes[-1]))
            measured = buckets.measure(lambda part: self._run(operation, part), rows, tried, clock=clock)  # noqa: B023
            seconds[operation] = {size: measured[size] for size in buckets.choose(measured)}
        return seconds

    def _candidate_sizes(self, max_batch_size: int | None) -> tuple[int, ...]:
        """The sizes to try: none above what was asked for or what fits, and only some where they take long.

        The largest, which the others are compared with, does not depend on a clock: replicas must agree.
        """
        known: tuple[int, ...] = buckets.CPU_SIZES if self.device.type == "cpu" else buckets.CUDA_SIZES
        sizes = tuple(size for size in known if max_batch_size is None or size <= max_batch_size)
        z = draw_noise(0, sizes[-1], self.metadata.latent_dim)
        while True:
            try:
                started = time.perf_counter()
                (images,) = self._run(Operation.DECODE, z[: sizes[-1]])
                self._run(Operation.RECONSTRUCT, images)
                is_slow = time.perf_counter() - started > SLOW_SECONDS
                if Operation.SCORE in self._operations:  # which needs the most memory
                    self._run(Operation.SCORE, images)
            except (RuntimeError, MemoryError) as error:
                if len(sizes) == 1 or fault_of(error) is not Fault.OOM:
                    raise
                sizes = sizes[:-1]
            else:
                return tuple(size for size in sizes if not is_slow or size in (*buckets.FEW_SIZES, sizes[-1]))

    def _run(self, operation: Operation, rows: Array) -> Arrays:
        return self._executor.launch(operation, [rows], len(rows))()


def _measure(
    metadata: Metadata, device: torch.device, encode: Encode, decode_logits: DecodeLogits
) -> Program | None:
    """What SCORE does with images (B, C, H, W), None where the likelihood is not known."""
    likelihood = Likelihood.of(metadata)
    signs = fixed_signs(metadata.latent_dim).to(device)
    if likelihood is None:
        return None
    return partial(measure, encode=encode, decode_logits=decode_logits, likelihood=likelihood, signs=signs)


def _executor(programs: Mapping[Operation, Program], device: torch.device) -> Executor:
    return CpuExecutor(programs) if device.type == "cpu" else CudaExecutor(programs, device)
