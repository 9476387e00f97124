"""One device thread, on a hand-written runtime that can be held, broken, and watched."""

import asyncio
import math

import numpy as np
import pytest
import torch

from service.engine.lane import Lane
from service.errors import InferenceFailed
from service.metrics import Metrics
from service.vae.operations import Operation
from tests.scrape import samples
from tests.service.engine.fakes import (
    BUCKET,
    LONG_SECONDS,
    POISON,
    Clock,
    FakeRuntime,
    job_of,
    make_device,
    outcome,
)

pytestmark = pytest.mark.anyio


async def test_a_job_comes_back_with_its_rows() -> None:
    batcher, device = make_device(FakeRuntime())
    job = job_of(1, 2, 3)
    device.start()
    batcher.submit(job)
    result = await outcome(job)
    np.testing.assert_array_equal(result.outputs[0], [[2], [4], [6]])
    batcher.close("over")
    device.join(LONG_SECONDS)


@pytest.mark.parametrize("fails_late", [False, True], ids=["at launch", "while waiting"])
async def test_a_failure_fails_only_its_batch_and_the_device_goes_on(fails_late: bool) -> None:
    metrics = Metrics()
    batcher, device = make_device(FakeRuntime(fails_late=fails_late), metrics)
    jobs = [job_of(1, 1, 1, 1), job_of(1, POISON, 1, 1), job_of(3, 3, 3, 3)]
    for job in jobs:
        batcher.submit(job)
    device.start()
    before, broken, after = [await outcome(job) for job in jobs]
    assert isinstance(broken, InferenceFailed)
    assert "a batch that cannot be" in str(broken.__cause__)
    np.testing.assert_array_equal(before.outputs[0], [[2]] * 4)
    np.testing.assert_array_equal(after.outputs[0], [[6]] * 4)
    assert device.is_alive
    # The batch, the half that holds the poison, and the poison itself.
    assert samples(metrics.render())['vae_device_failures_total{kind="other"}'] == 3
    batcher.close("over")
    device.join(LONG_SECONDS)


async def test_of_32_jobs_in_a_batch_only_the_poisoned_one_fails() -> None:
    runtime = FakeRuntime()
    batcher, device = make_device(runtime, limit=32)
    jobs = [job_of(POISON if number == 13 else number + 1) for number in range(32)]
    for job in jobs:
        batcher.submit(job)
    device.start()
    outcomes = [await outcome(job) for job in jobs]
    assert [number for number, found in enumerate(outcomes) if isinstance(found, InferenceFailed)] == [13]
    np.testing.assert_array_equal(outcomes[31].outputs[0], [[64]])
    assert runtime.num_runs == 1 + 2 * math.log2(32)
    batcher.close("over")
    device.join(LONG_SECONDS)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
    ids=["device", "host", "Python"],
)
@pytest.mark.parametrize("fails_late", [False, True], ids=["at launch", "while waiting"])
async def test_a_batch_that_does_not_fit_into_memory_is_halved_and_the_size_remembered(
    error: Exception, fails_late: bool
) -> None:
    metrics = Metrics()
    runtime = FakeRuntime(fault=lambda rows: error if len(rows) > 8 else None, fails_late=fails_late)
    batcher, device = make_device(runtime, metrics, limit=64)
    first, second = job_of(*range(1, 65)), job_of(*range(1, 65))
    batcher.submit(first)
    device.start()
    np.testing.assert_array_equal((await outcome(first)).outputs[0], 2 * first.inputs)
    assert runtime.num_runs == 1 + 2 + 4 + 8
    assert samples(metrics.render())['vae_device_failures_total{kind="oom"}'] == 1 + 2 + 4
    batcher.submit(second)
    np.testing.assert_array_equal((await outcome(second)).outputs[0], 2 * second.inputs)
    assert runtime.num_runs == 15 + 8
    assert device.is_alive
    batcher.close("over")
    device.join(LONG_SECONDS)


async def test_what_was_staged_behind_a_failure_is_not_run_twice() -> None:
    runtime = FakeRuntime(num_staged=1, fails_late=True)
    batcher, device = make_device(runtime)
    jobs = [job_of(POISON, 1, 1, 1), job_of(2, 2, 2, 2), job_of(3, 3, 3, 3)]
    for job in jobs:
        batcher.submit(job)
    batcher.close("over")
    device.start()
    device.join(LONG_SECONDS)
    failed, *fine = [await outcome(job) for job in jobs]
    assert isinstance(failed, InferenceFailed)
    assert [float(result.outputs[0][0, 0]) for result in fine] == [4, 6]
    assert runtime.events[:3] == ["launch -1", "launch 2", "wait -1"]
    assert runtime.events.index("wait 2") < runtime.events.index("launch -1", 1)
    assert [runtime.events.count(f"launch {number}") for number in (2, 3)] == [1, 1]


async def test_each_lane_prepares_its_own_thread() -> None:
    runtime = FakeRuntime()
    batcher, device = make_device(runtime, num_lanes=3)
    batcher.close("over")
    device.start()
    device.join(LONG_SECONDS)
    assert sorted(runtime.threads) == ["device-0", "device-1", "device-2"]


async def test_without_staging_a_batch_is_finished_before_the_next_is_launched() -> None:
    runtime = FakeRuntime(num_staged=0)
    await run_three(runtime)
    assert runtime.events == ["launch 1", "wait 1", "launch 2", "wait 2", "launch 3", "wait 3"]


async def test_exactly_one_batch_is_staged_while_another_computes() -> None:
    runtime = FakeRuntime(num_staged=1)
    await run_three(runtime)
    assert runtime.events == ["launch 1", "launch 2", "wait 1", "launch 3", "wait 2", "wait 3"]


async def test_batches_and_their_padding_are_counted() -> None:
    metrics = Metrics()
    batcher, device = make_device(FakeRuntime(), metrics)
    for job in (job_of(1, 2, 3), job_of(1, operation=Operation.ENCODE)):
        batcher.submit(job)
    batcher.close("over")
    device.start()
    device.join(LONG_SECONDS)
    found = samples(metrics.render())
    assert found['vae_batch_items_sum{operation="decode"}'] == 3
    assert found['vae_batch_items_count{operation="encode"}'] == 1
    assert found['vae_padding_items_total{operation="decode"}'] == BUCKET - 3
    assert found['vae_padding_items_total{operation="encode"}'] == BUCKET - 1
    assert found['vae_device_seconds_count{operation="decode"}'] == 1


async def test_a_batch_is_timed_from_when_the_device_could_begin_with_it() -> None:
    clock, metrics = Clock(), Metrics()
    runtime = FakeRuntime(num_staged=1, seconds=8, clock=clock)
    batcher, _ = make_device(runtime, metrics)
    lane = Lane("lane", runtime, batcher, metrics=metrics, on_end=lambda *_: None, clock=clock)
    for _ in range(5):
        batcher.submit(job_of(1, 1, 1, 1))
    batcher.close("over")
    assert lane.busy_seconds == 0
    lane.thread.start()
    lane.thread.join(LONG_SECONDS)
    assert lane.busy_seconds == 0
    found = samples(metrics.render())
    # A batch that was staged did not yet keep the device busy.
    assert found['vae_device_seconds_sum{operation="decode"}'] == 5 * 8
    assert found['vae_device_seconds_bucket{le="5.0",operation="decode"}'] == 0


async def test_a_lane_is_busy_from_the_launch_of_a_batch_until_it_is_back() -> None:
    clock = Clock()
    runtime = FakeRuntime(num_staged=1)
    batcher, _ = make_device(runtime)
    lane = Lane("lane", runtime, batcher, metrics=Metrics(), on_end=lambda *_: None, clock=clock)
    runtime.gate.clear()
    jobs = [job_of(1, 1, 1, 1), job_of(2, 2, 2, 2)]
    for job in jobs:
        batcher.submit(job)
    batcher.close("over")
    lane.thread.start()
    while "wait 1" not in runtime.events:
        await asyncio.sleep(0)
    clock.now += 7
    assert lane.busy_seconds == 7
    runtime.gate.set()
    lane.thread.join(LONG_SECONDS)
    assert lane.busy_seconds == 0


async def run_three(runtime: FakeRuntime) -> None:
    """Three full batches that all wait before the device starts."""
    batcher, device = make_device(runtime)
    for number in (1, 2, 3):
        batcher.submit(job_of(*[number] * BUCKET))
    batcher.close("over")
    device.start()
    device.join(LONG_SECONDS)
