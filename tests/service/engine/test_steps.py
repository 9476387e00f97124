"""Steps beside the network: those that make a job's inputs, the one that makes its answer, and others."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import pytest
import torch

from service.engine.codecs import Codecs
from service.engine.engine import Engine
from service.engine.steps import Step
from service.errors import BadImage, DeadlineExceeded, InferenceFailed, NotReady
from service.metrics import Metrics
from service.vae.noise import draw_noise
from service.vae.operations import Array, Arrays
from service.vae.runtime import Runtime
from tests import tiny_vae

pytestmark = pytest.mark.anyio

Z = draw_noise(3, 6, 4)
# What does short steps on the CPU, and long ones; beside a CUDA device all are long.
THREADS = {True: "device-", False: "codec-"}


@pytest.fixture
def engine(runtime: Runtime) -> Iterator[Engine]:
    codecs = Codecs(2)
    engine = Engine(runtime, codecs, Metrics(), max_items=64, num_lanes=2)
    engine.start()
    yield engine
    engine.stop()
    codecs.close()


def rows_of(start: int, stop: int) -> Callable[[], Array]:
    return lambda: Z[start:stop]


def failing(*_: object) -> Array:
    raise BadImage("a picture of nothing")


@pytest.fixture(params=[True, False], ids=["short", "long"])
def is_short(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def named(device: torch.device, *, is_short: bool) -> str:
    return THREADS[is_short and device.type == "cpu"]


async def test_a_step_is_done_by_the_threads_for_its_length(
    engine: Engine, device: torch.device, is_short: bool
) -> None:
    name = await engine.do(Step(lambda: threading.current_thread().name, is_short), timeout_seconds=30)
    assert name.startswith(named(device, is_short=is_short))


async def test_what_a_step_raises_is_raised_and_the_thread_goes_on(engine: Engine, is_short: bool) -> None:
    for _ in range(5):
        with pytest.raises(BadImage, match="nothing"):
            await engine.do(Step(failing, is_short), timeout_seconds=30)
    assert engine.is_ready
    np.testing.assert_array_equal(
        (await engine.decode(Z, timeout_seconds=30)).outputs[0], tiny_vae.decoded(Z)
    )


@pytest.mark.parametrize("cuts", [[0, 6], [0, 1, 6], [0, 1, 2, 3, 4, 5, 6]])
async def test_inputs_that_steps_make_are_joined_in_their_order(
    engine: Engine, is_short: bool, cuts: list[int]
) -> None:
    steps = [Step(rows_of(*ends), is_short) for ends in pairwise(cuts)]
    result = await engine.decode(steps, timeout_seconds=30)
    np.testing.assert_array_equal(result.outputs[0], tiny_vae.decoded(Z))
    assert result.prepare_seconds > 0


async def test_steps_of_one_job_are_done_side_by_side(engine: Engine, is_short: bool) -> None:
    together = threading.Barrier(2)

    def rows() -> Array:
        together.wait(30)
        return Z

    result = await engine.decode([Step(rows, is_short)] * 2, timeout_seconds=30)
    assert len(result.outputs[0]) == 12


async def test_a_step_that_turns_out_long_is_done_by_a_codec_thread(engine: Engine) -> None:
    threads = []

    def rows() -> Array:
        threads.append(threading.current_thread().name)
        return Z[1:3]

    longer = Step(lambda: Step(rows, is_short=False), is_short=True)
    steps = [Step(rows_of(0, 1), is_short=True), longer, Step(rows_of(3, 6), is_short=True)]
    result = await engine.decode(steps, timeout_seconds=30)
    np.testing.assert_array_equal(result.outputs[0], tiny_vae.decoded(Z))
    assert threads[0].startswith("codec-")


@pytest.mark.parametrize("place", [0, 1, 2])
async def test_a_step_that_fails_fails_its_job_and_no_other(
    engine: Engine, is_short: bool, place: int
) -> None:
    steps = [Step(rows_of(0, 1), is_short)] * 3
    steps[place] = Step(failing, is_short)
    failed, fine = await asyncio.gather(
        engine.decode(steps, timeout_seconds=30),
        engine.decode(Z, timeout_seconds=30),
        return_exceptions=True,
    )
    assert isinstance(failed, BadImage)
    assert not isinstance(fine, BaseException)
    assert engine.batcher.num_queued == 0


async def test_the_last_step_is_given_inputs_and_outputs(
    engine: Engine, device: torch.device, is_short: bool
) -> None:
    def finish(inputs: Array, outputs: Arrays) -> tuple[Array, Array, str]:
        return inputs, outputs[0], threading.current_thread().name

    making = [Step(rows_of(0, 6), is_short)]
    result = await engine.decode(making, timeout_seconds=30, finish=Step(finish, is_short))
    inputs, images, name = result.answer
    np.testing.assert_array_equal(inputs, Z)
    np.testing.assert_array_equal(images, tiny_vae.decoded(Z))
    assert name.startswith(named(device, is_short=is_short))
    assert result.finish_seconds > 0


async def test_what_the_last_step_raises_is_raised_and_the_thread_goes_on(
    engine: Engine, is_short: bool
) -> None:
    def finish(*_: object) -> None:
        raise InferenceFailed("not finite")

    for _ in range(5):
        with pytest.raises(InferenceFailed, match="not finite"):
            await engine.decode(Z, timeout_seconds=30, finish=Step(finish, is_short))
    assert engine.is_ready


async def test_steps_of_a_job_that_nobody_waits_for_are_not_begun(engine: Engine, is_short: bool) -> None:
    may_go_on, begun = threading.Event(), []
    held = [engine.do(Step(may_go_on.wait, is_short), timeout_seconds=30) for _ in range(2)]  # both threads
    gone = engine.decode([Step(lambda: begun.append(1), is_short)], timeout_seconds=30)
    also_gone = engine.do(Step(lambda: begun.append(2), is_short), timeout_seconds=30)
    late = engine.decode([Step(lambda: begun.append(3), is_short)], timeout_seconds=0.01)
    also_late = engine.do(Step(lambda: begun.append(4), is_short), timeout_seconds=0.01)
    gone.cancel()
    also_gone.cancel()
    for future in (late, also_late):
        with pytest.raises(DeadlineExceeded):
            await future
    may_go_on.set()
    await asyncio.gather(*held)
    await engine.do(Step(lambda: None, is_short), timeout_seconds=30)
    assert begun == []


async def test_a_stopped_engine_refuses_steps(runtime: Runtime) -> None:
    codecs = Codecs(1)
    engine = Engine(runtime, codecs, Metrics(), max_items=64, num_lanes=1)
    engine.start()
    await asyncio.to_thread(engine.stop)
    codecs.close()
    for short in (True, False):
        with pytest.raises(NotReady):
            await engine.do(Step(lambda: None, short), timeout_seconds=30)
        with pytest.raises(NotReady):
            await engine.decode([Step(rows_of(0, 1), short)], timeout_seconds=30)
