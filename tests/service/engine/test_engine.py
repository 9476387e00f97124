"""The engine on the tiny checkpoint: arrays in, arrays out, each as computed by hand."""

import asyncio
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from service.engine.codecs import Codecs
from service.engine.cores import available_cores
from service.engine.engine import QUEUED_BATCHES, Engine
from service.errors import DeadlineExceeded, NotReady
from service.metrics import Metrics
from service.vae.noise import draw_noise
from service.vae.runtime import Runtime
from tests import tiny_vae
from tests.scrape import samples

pytestmark = pytest.mark.anyio

MakeEngine = Callable[..., Engine]


@pytest.fixture
def make_engine(runtime: Runtime) -> Iterator[MakeEngine]:
    """An engine that is stopped when the test ends."""
    engines = []
    codecs = Codecs(2)

    def make(
        metrics: Metrics | None = None, *, max_items: int = 64, max_queued_items: int | None = None
    ) -> Engine:
        engine = Engine(
            runtime,
            codecs,
            metrics or Metrics(),
            max_items=max_items,
            max_queued_items=max_queued_items,
            num_lanes=2,
        )
        engines.append(engine)
        return engine

    yield make
    for engine in engines:
        if engine.is_ready:
            engine.stop()
    codecs.close()


@pytest.mark.parametrize("num", [1, 3, 64])
async def test_latents_become_their_images_in_order(make_engine: MakeEngine, num: int) -> None:
    engine = make_engine()
    engine.start()
    z = draw_noise(5, num, 4)
    result = await engine.decode(z, timeout_seconds=30)
    np.testing.assert_array_equal(result.outputs[0], tiny_vae.decoded(z))


async def test_images_become_their_posteriors_and_reconstructions(make_engine: MakeEngine) -> None:
    engine = make_engine()
    engine.start()
    images = tiny_vae.decoded(draw_noise(6, 9, 4))
    mu, log_var = (await engine.encode(images, timeout_seconds=30)).outputs
    np.testing.assert_allclose(mu, tiny_vae.encoded_mu(images), atol=1e-5)
    np.testing.assert_allclose(log_var, [tiny_vae.LOG_VAR] * 9)
    reconstructions, mu_again, _ = (await engine.reconstruct(images, timeout_seconds=30)).outputs
    np.testing.assert_array_equal(mu_again, mu)
    np.testing.assert_array_equal(reconstructions, tiny_vae.decoded(mu))


async def test_many_requests_at_once_each_get_their_own_answer(make_engine: MakeEngine) -> None:
    engine = make_engine()
    engine.start()
    latents = [draw_noise(seed, 1 + seed % 7, 4) for seed in range(40)]
    results = await asyncio.gather(*[engine.decode(z, timeout_seconds=30) for z in latents])
    for z, result in zip(latents, results, strict=True):
        np.testing.assert_array_equal(result.outputs[0], tiny_vae.decoded(z))


async def test_requests_that_arrive_together_share_a_batch(make_engine: MakeEngine) -> None:
    metrics = Metrics()
    engine = make_engine(metrics)
    tasks = [asyncio.ensure_future(engine.decode(draw_noise(s, 1, 4), timeout_seconds=30)) for s in range(8)]
    await asyncio.sleep(0)  # lets every task submit its job, before the device starts
    engine.start()
    await asyncio.gather(*tasks)
    found = samples(metrics.render())
    assert found['vae_batch_items_sum{operation="decode"}'] == 8
    assert found['vae_batch_items_count{operation="decode"}'] < 8


async def test_a_deadline_that_has_passed_is_said(make_engine: MakeEngine) -> None:
    engine = make_engine()
    engine.start()
    with pytest.raises(DeadlineExceeded):
        await engine.decode(draw_noise(0, 1, 4), timeout_seconds=-1)


async def test_a_cancelled_request_is_never_computed(make_engine: MakeEngine) -> None:
    metrics = Metrics()
    engine = make_engine(metrics)
    task = asyncio.ensure_future(engine.decode(draw_noise(0, 2, 4), timeout_seconds=30))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    engine.start()
    await engine.decode(draw_noise(0, 1, 4), timeout_seconds=30)
    found = samples(metrics.render())
    assert found['vae_cancelled_total{stage="queued"}'] == 1
    assert found['vae_batch_items_sum{operation="decode"}'] == 1


async def test_a_deadline_is_kept_while_nothing_is_taken_and_is_not_counted_as_a_client_that_left(
    make_engine: MakeEngine,
) -> None:
    metrics = Metrics()
    engine = make_engine(metrics)
    with pytest.raises(DeadlineExceeded):  # the device is not started, so nobody forms a batch
        await engine.decode(draw_noise(0, 2, 4), timeout_seconds=0.01)
    engine.start()
    await engine.decode(draw_noise(0, 1, 4), timeout_seconds=30)
    found = samples(metrics.render())
    assert found['vae_cancelled_total{stage="queued"}'] == 0
    assert found['vae_batch_items_sum{operation="decode"}'] == 1


async def test_an_empty_queue_takes_the_largest_request(make_engine: MakeEngine) -> None:
    engine = make_engine(max_items=500)
    assert engine.admission.max_items == QUEUED_BATCHES * 500


async def test_what_nobody_waits_for_any_more_leaves_the_queue_though_the_device_hangs(
    make_engine: MakeEngine,
) -> None:
    engine = make_engine()  # not started, so that nobody forms a batch
    gone = engine.decode(draw_noise(0, 2, 4), timeout_seconds=30)
    late = engine.decode(draw_noise(0, 3, 4), timeout_seconds=0.001)
    assert engine.batcher.num_queued == 5
    gone.cancel()
    with pytest.raises(DeadlineExceeded):
        await late
    assert engine.batcher.num_queued == 0


async def test_a_stopped_engine_has_answered_everything_and_admits_nothing(make_engine: MakeEngine) -> None:
    engine = make_engine()
    z = draw_noise(1, 64, 4)
    task = asyncio.ensure_future(engine.decode(z, timeout_seconds=30))
    await asyncio.sleep(0)
    engine.start()
    await asyncio.to_thread(engine.stop)
    np.testing.assert_array_equal((await task).outputs[0], tiny_vae.decoded(z))
    assert not engine.is_ready
    with pytest.raises(NotReady):
        await engine.decode(z, timeout_seconds=30)


def test_there_is_at_least_one_core() -> None:
    assert available_cores() >= 1
