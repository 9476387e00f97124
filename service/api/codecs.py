"""The threads that turn bytes into images and images into bytes, beside the event loop and the device."""

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from service.metrics import Metrics

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Task = tuple[Callable[[], Any], "asyncio.Future[Any]", asyncio.AbstractEventLoop]


class Codecs:
    """A pool of codec threads, which resolve the event loop's own futures.

    A thread is started only where all are busy: each keeps the memory of its largest picture.

    Not concurrent.futures, whose futures are chained to those of the loop: that takes a tenth of the time
    that Python needs for a small request.

    Args:
        num_threads: How many at the most.
        metrics: Where to count.
    """

    def __init__(self, num_threads: int, metrics: Metrics) -> None:
        self._metrics = metrics
        self._is_closed = False
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._num_threads = num_threads
        self._num_busy = 0  # tasks that were put and are not done; of the event loop's thread alone

    async def run(self, stage: str, function: Callable[[], Answer]) -> tuple[Answer, float]:
        """Run a function in a codec thread.

        Args:
            stage: Under which name it is counted.
            function: Given nothing.

        Returns:
            What it gave, and the seconds from asking to having it.
        """
        started = time.perf_counter()
        answer = await self._submit(function)
        seconds = time.perf_counter() - started
        self._metrics.codec_finished(stage, seconds)
        return answer, seconds

    async def map(
        self, stage: str, function: Callable[[Item], Answer], items: Sequence[Item]
    ) -> tuple[list[Answer], float]:
        """Apply a function to each item, side by side on all threads; see run."""
        if len(items) == 1:
            answer, seconds = await self.run(stage, lambda: function(items[0]))
            return [answer], seconds
        started = time.perf_counter()

        def apply(part: Sequence[Item]) -> list[Answer]:
            return [function(item) for item in part]

        size = -(-len(items) // self._num_threads)
        parts = [items[start : start + size] for start in range(0, len(items), size)]
        tasks = [self._submit(partial(apply, part)) for part in parts]
        answers = [answer for part in await asyncio.gather(*tasks) for answer in part]
        seconds = time.perf_counter() - started
        self._metrics.codec_finished(stage, seconds)
        return answers, seconds

    def close(self) -> None:
        """Finish what was asked for, and end the threads."""
        self._is_closed = True
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()

    def _submit(self, function: Callable[[], Answer]) -> "asyncio.Future[Answer]":
        if self._is_closed:
            raise RuntimeError("the codec threads have ended")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._num_busy += 1
        if len(self._threads) < min(self._num_busy, self._num_threads):
            self._start_thread()
        self._tasks.put((function, future, loop))
        return future

    def _start_thread(self) -> None:
        name = f"codec-{len(self._threads)}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            function, future, loop = task
            answer, error = None, None
            try:
                if not future.cancelled():
                    answer = function()
            except BaseException as raised:
                error = raised
            with suppress(RuntimeError):  # the loop is closed: nobody is left to wait
                loop.call_soon_threadsafe(self._resolve, future, answer, error)
            del task, function, future, answer, error  # while it sleeps, it holds on to no picture

    def _resolve(self, future: "asyncio.Future[Any]", answer: object, error: BaseException | None) -> None:
        self._num_busy -= 1
        if future.done():  # cancelled meanwhile
            return
        if error is None:
            future.set_result(answer)
        else:
            future.set_exception(error)
