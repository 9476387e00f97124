"""The device threads together, and what is answered when the device does not."""

import asyncio
import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch

from service.engine.jobs import Result
from service.errors import InferenceFailed, NotReady
from service.metrics import Metrics
from service.vae.operations import Operation
from tests.scrape import samples
from tests.service.engine.fakes import LONG_SECONDS, FakeRuntime, job_of, make_device, outcome

pytestmark = pytest.mark.anyio

STICKY = "CUDA error: an illegal memory access was encountered"
FATAL = [
    torch.AcceleratorError(STICKY),
    RuntimeError(f"The following operation failed in the TorchScript interpreter.\nRuntimeError: {STICKY}"),
    SystemExit(1),
    KeyboardInterrupt(),
]


class Failure:
    """Counts how often the device was given up."""

    def __init__(self) -> None:
        self.num = 0
        self._happened = threading.Event()

    def __call__(self) -> None:
        self.num += 1
        self._happened.set()

    async def happens(self) -> None:
        assert await asyncio.to_thread(self._happened.wait, LONG_SECONDS)


@pytest.mark.parametrize("error", FATAL, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("fails_late", [False, True], ids=["at launch", "while waiting"])
@pytest.mark.parametrize("num_staged", [0, 1])
async def test_after_an_error_that_ends_a_thread_everybody_is_answered_and_nobody_admitted(
    error: BaseException, fails_late: bool, num_staged: int
) -> None:
    metrics, failure = Metrics(), Failure()
    runtime = FakeRuntime(num_staged=num_staged, fault=lambda _: error, fails_late=fails_late)
    batcher, device = make_device(runtime, metrics, on_failure=failure)
    jobs = [job_of(*[number] * 4) for number in range(1, 6)]
    for job in jobs:
        batcher.submit(job)
    device.start()
    first, *_, last = [await outcome(job) for job in jobs]
    assert isinstance(first, InferenceFailed)
    assert first.__cause__ is error
    assert isinstance(last, NotReady)
    assert not device.is_alive  # as soon as anybody was answered
    with pytest.raises(NotReady, match="must be restarted"):
        batcher.submit(job_of(3))
    await failure.happens()
    await until(lambda: not device.is_running)
    assert failure.num == 1
    found = samples(metrics.render())
    assert found['vae_device_failures_total{kind="lost"}'] == 1
    assert runtime.num_runs <= 1 + num_staged


async def test_a_thread_that_ends_before_its_first_batch_is_a_lost_device() -> None:
    class Unprepared(FakeRuntime):
        def prepare_thread(self) -> None:
            raise MemoryError

    failure = Failure()
    batcher, device = make_device(Unprepared(), on_failure=failure)
    job = job_of(1)
    batcher.submit(job)
    device.start()
    assert isinstance(await outcome(job), NotReady)
    await failure.happens()


async def test_a_fault_of_the_thread_itself_answers_what_it_had_launched() -> None:
    class Odd(FakeRuntime):
        def bucket(self, operation: Operation, num: int) -> int:
            raise LookupError("no such bucket")

    batcher, device = make_device(Odd(num_staged=1))
    jobs = [job_of(1, 1, 1, 1), job_of(2, 2, 2, 2)]
    for job in jobs:
        batcher.submit(job)
    device.start()
    assert [type(await outcome(job)) for job in jobs] == [InferenceFailed, InferenceFailed]
    batcher.close("over")
    device.join(LONG_SECONDS)


async def test_what_another_thread_has_on_a_lost_device_is_answered_and_its_result_is_not_given() -> None:
    runtime = FakeRuntime(fault=lambda rows: torch.AcceleratorError(STICKY) if 2 in rows else None)
    batcher, device = make_device(runtime, num_lanes=2)
    runtime.gate.clear()
    healthy, fatal = job_of(1), job_of(2)
    batcher.submit(healthy)
    device.start()
    await until(lambda: "wait 1" in runtime.events)
    batcher.submit(fatal)
    assert isinstance(await outcome(fatal), InferenceFailed)
    assert isinstance(await outcome(healthy), NotReady)
    runtime.gate.set()
    await until(lambda: not device.is_running)
    assert isinstance(await outcome(healthy), NotReady)


@pytest.mark.parametrize("num_staged", [0, 1])
async def test_a_device_that_hangs_is_in_trouble_first_and_then_given_up(num_staged: int) -> None:
    metrics, failure = Metrics(), Failure()
    runtime = FakeRuntime(num_staged=num_staged)
    batcher, device = make_device(runtime, metrics, watchdog_seconds=2, on_failure=failure)
    runtime.gate.clear()
    jobs = [job_of(*[number] * 4) for number in range(1, 5)]
    for job in jobs:
        batcher.submit(job)
    device.start()
    assert device.trouble == ""
    await until(lambda: bool(device.trouble))
    assert device.is_alive
    assert not any(job.future.done() for job in jobs)
    await failure.happens()
    assert {type(await outcome(job)) for job in jobs} == {NotReady}
    assert not device.is_alive
    with pytest.raises(NotReady, match="hangs"):
        batcher.submit(job_of(3))
    device.join(LONG_SECONDS)  # which does not wait for it
    assert device.is_running
    assert samples(metrics.render())['vae_device_failures_total{kind="hang"}'] == 1
    runtime.gate.set()
    await until(lambda: not device.is_running)
    assert {type(job.future.exception()) for job in jobs} == {NotReady}
    assert failure.num == 1


async def test_a_device_that_comes_back_in_time_is_well_again() -> None:
    failure = Failure()
    runtime = FakeRuntime()
    batcher, device = make_device(runtime, watchdog_seconds=2, on_failure=failure)
    runtime.gate.clear()
    job = job_of(1, 2, 3)
    batcher.submit(job)
    device.start()
    await until(lambda: bool(device.trouble))
    runtime.gate.set()
    assert isinstance(await outcome(job), Result)
    await until(lambda: not device.trouble)
    assert device.is_alive
    assert failure.num == 0
    batcher.close("over")
    device.join(LONG_SECONDS)


async def test_the_threads_end_when_the_batcher_is_closed_and_not_before() -> None:
    batcher, device = make_device(FakeRuntime(), num_lanes=3)
    assert not device.is_alive
    device.start()
    assert device.is_alive
    batcher.close("over")
    device.join(LONG_SECONDS)
    assert not device.is_alive
    assert not device.is_running


async def test_what_was_admitted_is_finished_before_the_threads_end() -> None:
    batcher, device = make_device(FakeRuntime(), num_lanes=2)
    jobs = [job_of(*range(10)) for _ in range(5)]
    for job in jobs:
        batcher.submit(job)
    batcher.close("over")
    device.start()
    device.join(LONG_SECONDS)
    for job in jobs:
        result = await outcome(job)
        np.testing.assert_array_equal(result.outputs[0], 2 * job.inputs)


async def until(happened: Callable[[], bool]) -> None:
    """Wait for what no event tells."""
    async with asyncio.timeout(LONG_SECONDS):
        while not happened():
            await asyncio.sleep(0.005)
