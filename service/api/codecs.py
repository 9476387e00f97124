"""The threads that turn bytes into images and images into bytes, beside the event loop and the device."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from service.metrics import Metrics

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Codecs:
    """A fixed pool of codec threads.

    Args:
        num_threads: How many.
        metrics: Where to count.
    """

    def __init__(self, num_threads: int, metrics: Metrics) -> None:
        self._num_threads = num_threads
        self._metrics = metrics
        self._pool = ThreadPoolExecutor(num_threads, thread_name_prefix="codec")

    async def run(self, stage: str, function: Callable[[], Answer]) -> tuple[Answer, float]:
        """Run a function in a codec thread.

        Args:
            stage: Under which name it is counted.
            function: Given nothing.

        Returns:
            What it gave, and the seconds from asking to having it.
        """
        started = time.perf_counter()
        answer = await asyncio.get_running_loop().run_in_executor(self._pool, function)
        seconds = time.perf_counter() - started
        self._metrics.codec_finished(stage, seconds)
        return answer, seconds

    async def map(
        self, stage: str, function: Callable[[Item], Answer], items: Sequence[Item]
    ) -> tuple[list[Answer], float]:
        """Apply a function to each item, side by side on all threads; see run."""
        started = time.perf_counter()
        loop = asyncio.get_running_loop()

        def apply(part: Sequence[Item]) -> list[Answer]:
            return [function(item) for item in part]

        size = -(-len(items) // self._num_threads)
        parts = [items[start : start + size] for start in range(0, len(items), size)]
        tasks = [loop.run_in_executor(self._pool, apply, part) for part in parts]
        answers = [answer for part in await asyncio.gather(*tasks) for answer in part]
        seconds = time.perf_counter() - started
        self._metrics.codec_finished(stage, seconds)
        return answers, seconds

    def close(self) -> None:
        """Wait for what runs, and end the threads."""
        self._pool.shutdown()
