"""Whole batches on the device: padded to a bucket, and the same bits whatever shares the batch."""

from pathlib import Path

import numpy as np
import pytest
import torch

from service import checkpoint
from service.settings import SHIPPED_CHECKPOINT
from service.vae.noise import draw_noise
from service.vae.operations import Operation
from service.vae.precision import Precision
from service.vae.runtime import Runtime
from tests import tiny_vae


@pytest.fixture(scope="module")
def tiny(tiny_checkpoint: Path, device: torch.device) -> Runtime:
    return Runtime(checkpoint.load(tiny_checkpoint), device, precision=Precision.FLOAT32)


@pytest.fixture(scope="module", params=[Precision.FLOAT32, Precision.BFLOAT16])
def shipped(request: pytest.FixtureRequest, device: torch.device) -> Runtime:
    return Runtime(checkpoint.load(SHIPPED_CHECKPOINT), device, precision=request.param)


def run(runtime: Runtime, operation: Operation, *parts: np.ndarray) -> tuple[np.ndarray, ...]:
    return runtime.launch(operation, parts)()


def test_parts_are_laid_end_to_end_and_padding_is_cut_off(tiny: Runtime) -> None:
    z = draw_noise(1, 5, 4)
    (images,) = run(tiny, Operation.DECODE, z[:1], z[1:4], z[4:])
    np.testing.assert_array_equal(images, tiny_vae.decoded(z))


def test_encode_and_reconstruct_follow_the_formula(tiny: Runtime) -> None:
    images = tiny_vae.decoded(draw_noise(2, 3, 4))
    mu, log_var = run(tiny, Operation.ENCODE, images)
    np.testing.assert_allclose(mu, tiny_vae.encoded_mu(images), atol=1e-5)
    np.testing.assert_allclose(log_var, [tiny_vae.LOG_VAR] * 3)
    reconstructions, *_ = run(tiny, Operation.RECONSTRUCT, images)
    np.testing.assert_array_equal(reconstructions, tiny_vae.decoded(mu))


def test_rows_are_padded_to_the_smallest_bucket_that_holds_them(tiny: Runtime) -> None:
    for operation in Operation:
        buckets = list(tiny.seconds[operation])
        for num in range(1, tiny.largest_bucket(operation) + 1):
            assert tiny.bucket(operation, num) == min(size for size in buckets if size >= num)


def test_the_version_is_the_start_of_the_digest(tiny: Runtime) -> None:
    assert tiny.version == tiny.sha256[:12]


def test_an_upper_bound_on_the_batch_is_kept(tiny_checkpoint: Path, device: torch.device) -> None:
    runtime = Runtime(checkpoint.load(tiny_checkpoint), device, precision=Precision.FLOAT32, max_batch_size=2)
    assert all(runtime.largest_bucket(operation) <= 2 for operation in Operation)


@pytest.mark.parametrize("operation", Operation)
def test_a_result_does_not_depend_on_its_batch(shipped: Runtime, operation: Operation) -> None:
    largest = shipped.largest_bucket(operation)
    inputs = draw_noise(77, largest, shipped.metadata.latent_dim)
    if operation is not Operation.DECODE:
        inputs = np.random.default_rng(0).integers(0, 256, (largest, 28, 28, 1), np.uint8)
    together = run(shipped, operation, inputs)
    backwards = run(shipped, operation, inputs[::-1].copy())
    for index in range(largest):
        alone = run(shipped, operation, inputs[index : index + 1])
        for one, all_of_them, reverse in zip(alone, together, backwards, strict=True):
            np.testing.assert_array_equal(one[0], all_of_them[index])
            np.testing.assert_array_equal(one[0], reverse[largest - 1 - index])
