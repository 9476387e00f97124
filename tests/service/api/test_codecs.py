import asyncio
import threading
import weakref

import numpy as np
import pytest

from service.api.codecs import Codecs
from service.metrics import Metrics
from tests.scrape import samples

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("num_items", [1, 2, 3, 7])
@pytest.mark.parametrize("num_threads", [1, 3])
async def test_answers_come_in_the_order_of_the_items(num_items: int, num_threads: int) -> None:
    metrics = Metrics()
    codecs = Codecs(num_threads, metrics)
    answers, seconds = await codecs.map("decode_image", lambda item: item * 10, range(num_items))
    assert answers == [10 * item for item in range(num_items)]
    assert seconds > 0
    counted = samples(metrics.render())
    assert counted['vae_codec_seconds_count{stage="decode_image"}'] == 1
    codecs.close()


async def test_threads_work_side_by_side() -> None:
    codecs = Codecs(2, Metrics())
    together = threading.Barrier(2)
    await codecs.map("decode_image", lambda _: together.wait(10), [0, 1])
    codecs.close()


@pytest.mark.parametrize("items", [[0], [1, 0, 1]])
async def test_what_a_function_raises_is_raised_and_the_thread_goes_on(items: list[int]) -> None:
    codecs = Codecs(1, Metrics())
    with pytest.raises(ZeroDivisionError):
        await codecs.map("decode_image", lambda item: 1 // item, items)
    assert (await codecs.run("encode_image", lambda: "well"))[0] == "well"
    codecs.close()


async def test_what_was_cancelled_is_not_begun_and_harms_nobody() -> None:
    codecs = Codecs(1, Metrics())
    may_go_on = threading.Event()
    begun = []
    running = asyncio.create_task(codecs.run("encode_image", may_go_on.wait))
    waiting = asyncio.create_task(codecs.run("encode_image", lambda: begun.append(1)))
    await asyncio.sleep(0.01)
    for task in (running, waiting):
        task.cancel()
    may_go_on.set()
    assert (await codecs.run("encode_image", lambda: "well"))[0] == "well"
    assert begun == []
    codecs.close()


async def test_a_thread_that_waits_holds_on_to_nothing() -> None:
    codecs = Codecs(1, Metrics())
    picture = np.zeros(9)
    gone = weakref.ref(picture)
    await codecs.run("encode_image", picture.sum)
    del picture
    await codecs.run("encode_image", lambda: None)
    assert gone() is None
    codecs.close()


async def test_what_comes_after_the_end_is_refused_and_what_came_before_is_finished() -> None:
    codecs = Codecs(1, Metrics())
    before = asyncio.create_task(codecs.run("encode_image", lambda: "well"))
    await asyncio.sleep(0)
    codecs.close()
    assert (await before)[0] == "well"
    with pytest.raises(RuntimeError, match="ended"):
        await codecs.run("encode_image", lambda: None)


async def test_there_are_no_more_threads_than_tasks_at_a_time() -> None:
    codecs = Codecs(3, Metrics())
    names = {(await codecs.run("encode_image", threading.current_thread))[0].name for _ in range(9)}
    assert names == {"codec-0"}
    together = threading.Barrier(3)
    await codecs.map("decode_image", lambda _: together.wait(10), [0, 1, 2])
    codecs.close()
