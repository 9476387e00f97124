"""The device threads, on a hand-written runtime that can be held, broken, and watched."""

import asyncio
import threading
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from service.engine.batcher import Batcher
from service.engine.device import Device
from service.engine.jobs import Job, Result
from service.errors import InferenceFailed, NotReady
from service.metrics import Metrics
from service.vae.operations import Array, Arrays, Operation
from tests.scrape import samples

pytestmark = pytest.mark.anyio

POISON = -1.0
BUCKET = 4


class FakeRuntime:
    """Doubles its rows; fails where one of them is POISON, at launch or while it waits."""

    def __init__(self, *, num_staged: int = 0, fails_late: bool = False) -> None:
        self.num_staged = num_staged
        self.events: list[str] = []
        self.threads: list[str] = []
        self._fails_late = fails_late

    def prepare_thread(self) -> None:
        self.threads.append(threading.current_thread().name)

    def bucket(self, operation: Operation, num: int) -> int:
        return max(BUCKET, num)

    def launch(self, operation: Operation, parts: Sequence[Array]) -> Callable[[], Arrays]:
        rows = np.concatenate(parts)
        first = int(rows[0, 0])
        self.events.append(f"launch {first}")
        is_poisoned = POISON in rows
        if is_poisoned and not self._fails_late:
            raise RuntimeError("CUDA error: an illegal memory access")

        def wait() -> Arrays:
            self.events.append(f"wait {first}")
            if is_poisoned:
                raise RuntimeError("CUDA error: an illegal memory access")
            return (2 * rows,)

        return wait


def make(
    runtime: FakeRuntime, metrics: Metrics, *, num_lanes: int = 1, limit: int = BUCKET
) -> tuple[Batcher, Device]:
    limits = dict.fromkeys(Operation, limit)
    batcher = Batcher(limits, max_queued_items=100, num_lanes=num_lanes, metrics=metrics)
    return batcher, Device(
        runtime, batcher, num_lanes=num_lanes, metrics=metrics, on_failure=runtime.events.clear
    )


def job_of(*numbers: float, operation: Operation = Operation.DECODE) -> Job:
    loop = asyncio.get_running_loop()
    rows = np.array(numbers, np.float32).reshape(-1, 1)
    return Job(operation, rows, loop.create_future(), loop, 1e12, loop.time())


async def outcome(job: Job) -> Result | BaseException:
    (only,) = await asyncio.wait_for(asyncio.gather(job.future, return_exceptions=True), 30)
    return only


async def test_a_job_comes_back_with_its_rows() -> None:
    batcher, device = make(FakeRuntime(), Metrics())
    job = job_of(1, 2, 3)
    device.start()
    batcher.submit(job)
    result = await outcome(job)
    np.testing.assert_array_equal(result.outputs[0], [[2], [4], [6]])
    batcher.close()
    device.join(30)


@pytest.mark.parametrize("fails_late", [False, True], ids=["at launch", "while waiting"])
async def test_a_failure_fails_only_its_batch_and_the_device_goes_on(fails_late: bool) -> None:
    metrics = Metrics()
    batcher, device = make(FakeRuntime(fails_late=fails_late), metrics)
    jobs = [job_of(1, 1, 1, 1), job_of(1, POISON, 1, 1), job_of(3, 3, 3, 3)]
    for job in jobs:
        batcher.submit(job)
    device.start()
    before, broken, after = [await outcome(job) for job in jobs]
    assert isinstance(broken, InferenceFailed)
    assert "illegal memory access" in str(broken.__cause__)
    np.testing.assert_array_equal(before.outputs[0], [[2]] * 4)
    np.testing.assert_array_equal(after.outputs[0], [[6]] * 4)
    assert device.is_alive
    # The batch, the half that holds the poison, and the poison itself.
    assert samples(metrics.render())["vae_batch_failures_total"] == 3
    batcher.close()
    device.join(30)


async def test_of_32_jobs_in_a_batch_only_the_poisoned_one_fails() -> None:
    runtime = FakeRuntime()
    batcher, device = make(runtime, Metrics(), limit=32)
    jobs = [job_of(POISON if number == 13 else number + 1) for number in range(32)]
    for job in jobs:
        batcher.submit(job)
    device.start()
    outcomes = [await outcome(job) for job in jobs]
    assert [number for number, found in enumerate(outcomes) if isinstance(found, InferenceFailed)] == [13]
    np.testing.assert_array_equal(outcomes[31].outputs[0], [[64]])
    runs = [event for event in runtime.events if event.startswith("launch")]
    assert len(runs) <= 12
    batcher.close()
    device.join(30)


async def test_a_batch_that_does_not_fit_into_memory_is_halved_and_the_size_remembered() -> None:
    class Small(FakeRuntime):
        def launch(self, operation: Operation, parts: Sequence[Array]) -> Callable[[], Arrays]:
            wait = super().launch(operation, parts)
            if sum(len(part) for part in parts) > 8:
                raise torch.OutOfMemoryError("out of memory")
            return wait

    runtime = Small()
    batcher, device = make(runtime, Metrics(), limit=64)
    first = job_of(*range(1, 65))
    batcher.submit(first)
    device.start()
    result = await outcome(first)
    np.testing.assert_array_equal(result.outputs[0], 2 * first.inputs)
    assert len([event for event in runtime.events if event.startswith("launch")]) <= 15
    runtime.events.clear()
    second = job_of(*range(1, 65))
    batcher.submit(second)
    await outcome(second)
    assert len([event for event in runtime.events if event.startswith("launch")]) == 8
    batcher.close()
    device.join(30)


async def test_what_was_staged_behind_a_failure_is_not_run_twice() -> None:
    runtime = FakeRuntime(num_staged=1, fails_late=True)
    batcher, device = make(runtime, Metrics())
    jobs = [job_of(POISON, 1, 1, 1), job_of(2, 2, 2, 2), job_of(3, 3, 3, 3)]
    for job in jobs:
        batcher.submit(job)
    batcher.close()
    device.start()
    device.join(30)
    failed, *fine = [await outcome(job) for job in jobs]
    assert isinstance(failed, InferenceFailed)
    assert [float(result.outputs[0][0, 0]) for result in fine] == [4, 6]
    assert runtime.events[:3] == ["launch -1", "launch 2", "wait -1"]
    assert runtime.events.index("wait 2") < runtime.events.index("launch -1", 1)
    assert [runtime.events.count(f"launch {number}") for number in (2, 3)] == [1, 1]


async def test_after_a_sticky_error_everybody_is_answered_and_nobody_admitted() -> None:
    class Lost(FakeRuntime):
        def launch(self, operation: Operation, parts: Sequence[Array]) -> Callable[[], Arrays]:
            raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    lost = threading.Event()
    metrics = Metrics()
    batcher = Batcher(dict.fromkeys(Operation, BUCKET), max_queued_items=100, num_lanes=1, metrics=metrics)
    device = Device(Lost(), batcher, num_lanes=1, metrics=metrics, on_failure=lost.set)
    jobs = [job_of(1, 1, 1, 1), job_of(2, 2, 2, 2)]
    for job in jobs:
        batcher.submit(job)
    device.start()
    running, waiting = [await outcome(job) for job in jobs]
    assert isinstance(running, InferenceFailed)
    assert isinstance(waiting, NotReady)
    assert lost.wait(30)
    device.join(30)
    assert not device.is_alive
    with pytest.raises(NotReady):
        batcher.submit(job_of(3))


async def test_a_fault_of_the_thread_itself_answers_what_it_had_launched() -> None:
    class Odd(FakeRuntime):
        def bucket(self, operation: Operation, num: int) -> int:
            raise LookupError("no such bucket")

    runtime = Odd(num_staged=1)
    batcher, device = make(runtime, Metrics())
    jobs = [job_of(1, 1, 1, 1), job_of(2, 2, 2, 2)]
    for job in jobs:
        batcher.submit(job)
    device.start()
    assert [type(await outcome(job)) for job in jobs] == [InferenceFailed, InferenceFailed]
    batcher.close()
    device.join(30)


async def test_the_threads_end_when_the_batcher_is_closed_and_not_before() -> None:
    batcher, device = make(FakeRuntime(), Metrics(), num_lanes=3)
    assert not device.is_alive
    device.start()
    assert device.is_alive
    batcher.close()
    device.join(30)
    assert not device.is_alive


async def test_what_was_admitted_is_finished_before_the_threads_end() -> None:
    batcher, device = make(FakeRuntime(), Metrics(), num_lanes=2)
    jobs = [job_of(*range(10)) for _ in range(5)]
    for job in jobs:
        batcher.submit(job)
    batcher.close()
    device.start()
    device.join(30)
    for job in jobs:
        result = await outcome(job)
        np.testing.assert_array_equal(result.outputs[0], 2 * job.inputs)


async def test_each_lane_prepares_its_own_thread() -> None:
    runtime = FakeRuntime()
    batcher, device = make(runtime, Metrics(), num_lanes=3)
    batcher.close()
    device.start()
    device.join(30)
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
    batcher, device = make(FakeRuntime(), metrics)
    for job in (job_of(1, 2, 3), job_of(1, operation=Operation.ENCODE)):
        batcher.submit(job)
    batcher.close()
    device.start()
    device.join(30)
    found = samples(metrics.render())
    assert found['vae_batch_items_sum{operation="decode"}'] == 3
    assert found['vae_batch_items_count{operation="encode"}'] == 1
    assert found['vae_padding_items_total{operation="decode"}'] == BUCKET - 3
    assert found['vae_padding_items_total{operation="encode"}'] == BUCKET - 1
    assert found['vae_device_seconds_count{operation="decode"}'] == 1


async def run_three(runtime: FakeRuntime) -> None:
    """Three full batches that all wait before the device starts."""
    batcher, device = make(runtime, Metrics())
    for number in (1, 2, 3):
        batcher.submit(job_of(*[number] * BUCKET))
    batcher.close()
    device.start()
    device.join(30)
