"""Several models by name, and one exchanged while requests hold it."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from service import checkpoint
from service.engine import engine as engine_module
from service.engine.codecs import Codecs
from service.engine.engine import Engine
from service.engine.models import Models
from service.errors import ModelNotFound, NotReady
from service.metrics import Metrics
from service.vae.noise import draw_noise
from service.vae.operations import Array, Arrays, Operation
from service.vae.precision import Precision
from service.vae.runtime import Runtime
from tests import tiny_vae
from tests.scrape import samples

pytestmark = pytest.mark.anyio

MakeEngine = Callable[..., Engine]


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def make_engine(tmp_path: Path, device: torch.device, metrics: Metrics) -> Iterator[MakeEngine]:
    """Engines of tiny models: `make_engine("name", elbo=1.0)`, figures telling versions apart."""
    engines: list[Engine] = []

    def make(name: str, elbo: float = -1.0) -> Engine:
        path = tiny_vae.save(tmp_path / f"{len(engines)}.pt", name=name, quality={"elbo": elbo})
        runtime = Runtime(checkpoint.load(path), device, precision=Precision.FLOAT32, max_batch_size=4)
        engines.append(Engine(runtime, Codecs(1), metrics, max_items=8, num_lanes=1))
        return engines[-1]

    yield make
    for engine in engines:
        if engine.is_alive:
            engine.stop()


async def decode(engine: Engine, seed: int = 0) -> None:
    """Ask an engine for three images, and check them."""
    z = draw_noise(seed, 3, 4)
    result = await engine.decode(z, timeout_seconds=30)
    np.testing.assert_array_equal(result.outputs[0], tiny_vae.decoded(z))


async def test_each_model_answers_to_its_name(make_engine: MakeEngine, metrics: Metrics) -> None:
    first, second = make_engine("first"), make_engine("second")
    models = Models([first, second], "second", metrics)
    assert not models.is_ready
    models.start()
    assert models.is_ready
    assert models.is_alive
    for name, expected in {"first": first, "second": second, None: second}.items():
        with models.use(name) as engine:
            assert engine is expected
            await decode(engine)
    assert list(models) == [first, second]
    assert models["first"] is first
    await models.stop()
    assert not models.is_alive


async def test_an_unknown_name_is_refused_with_the_known(make_engine: MakeEngine, metrics: Metrics) -> None:
    models = Models([make_engine("first"), make_engine("second")], "first", metrics)
    with pytest.raises(ModelNotFound, match="first, second"), models.use("third"):
        pass
    with pytest.raises(ModelNotFound, match="no model is named third"):
        Models([make_engine("first")], "third", metrics)


async def test_a_replaced_model_serves_who_holds_it_and_is_stopped_after(
    make_engine: MakeEngine, metrics: Metrics
) -> None:
    old, new = make_engine("tiny", elbo=-1.0), make_engine("tiny", elbo=-2.0)
    models = Models([old], "tiny", metrics)
    models.start()
    with models.use("tiny") as held:
        models.put(new)
        with models.use("tiny") as current:
            assert current is new
            await decode(current)
        await decode(held)
        assert held is old
        assert old.is_alive
    while old.is_alive:
        await asyncio.sleep(0.001)
    assert models.default is new
    assert models.is_ready
    found = samples(metrics.render())
    assert [series for series in found if "vae_model_info" in series and old.runtime.sha256 in series] == []
    assert [series for series in found if "vae_model_info" in series and new.runtime.sha256 in series] != []
    assert found["vae_queue_capacity_items"] == new.admission.max_items
    assert found["vae_queued_items"] == 0
    await models.stop()


async def test_a_model_that_nobody_holds_is_stopped_when_it_is_replaced(
    make_engine: MakeEngine, metrics: Metrics
) -> None:
    old = make_engine("tiny")
    models = Models([old], "tiny", metrics)
    models.start()
    models.put(make_engine("tiny", elbo=-2.0))
    await models.stop()
    assert not old.is_alive


async def test_a_new_name_is_served_beside_the_others(make_engine: MakeEngine, metrics: Metrics) -> None:
    models = Models([make_engine("first")], "first", metrics)
    models.start()
    models.put(make_engine("second"))
    with models.use("second") as engine:
        await decode(engine)
    assert models.default.name == "first"
    await models.stop()


async def test_draining_is_not_ready_but_alive_and_takes_no_new_model(
    make_engine: MakeEngine, metrics: Metrics
) -> None:
    old, late = make_engine("tiny"), make_engine("tiny", elbo=-2.0)
    models = Models([old], "tiny", metrics)
    models.start()
    assert samples(metrics.render())["vae_ready"] == 1
    models.drain()
    assert not models.is_ready
    assert models.is_alive
    assert samples(metrics.render())["vae_ready"] == 0
    models.put(late)
    with models.use(None) as engine:
        assert engine is old
        await decode(engine)
    await models.stop()
    assert not late.is_alive


async def test_a_replaced_model_gives_its_memory_back_where_no_collection_sees_it(
    make_engine: MakeEngine, metrics: Metrics
) -> None:
    old = make_engine("tiny")
    executor = weakref.ref(old.runtime._executor)
    models = Models([old], "tiny", metrics)
    models.start()
    gc.disable()
    try:
        models.put(make_engine("tiny", elbo=-2.0))
        async with asyncio.timeout(30):
            while executor() is not None:
                await asyncio.sleep(0.001)
    finally:
        gc.enable()
    await models.stop()


async def test_a_replaced_model_that_hangs_is_not_forgotten(
    make_engine: MakeEngine, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = make_engine("tiny")
    models = Models([old], "tiny", metrics)
    models.start()
    begun, release = threading.Event(), threading.Event()
    launch = old.runtime.launch

    def hang(operation: Operation, parts: Sequence[Array]) -> Callable[[], Arrays]:
        begun.set()
        release.wait(30)
        return launch(operation, parts)

    monkeypatch.setattr(old.runtime, "launch", hang)
    monkeypatch.setattr(engine_module, "STOP_SECONDS", 0.01)
    future = old.decode(draw_noise(0, 1, 4), timeout_seconds=30)
    await asyncio.to_thread(begun.wait, 30)
    models.put(make_engine("tiny", elbo=-2.0))
    await models.stop()
    assert models.is_running
    with pytest.raises(NotReady):
        await future
    release.set()
    while models.is_running:
        await asyncio.sleep(0.001)
