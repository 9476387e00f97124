"""What is made in threads before it is asked for, so that whoever takes it need not wait."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

AHEAD = 2  # for each thread

Item = TypeVar("Item")
Made = TypeVar("Made")


def read_ahead(make: Callable[[Item], Made], items: Iterable[Item], *, num_threads: int) -> Iterator[Made]:
    """What `make` makes of each item, in order, a few of them made before they are asked for.

    Threads, not processes: reading and gathering hold no lock of Python's, and need no copy in shared memory.
    Whoever stops taking waits for those few only.

    Args:
        make: Called in the threads.
        items: What of.
        num_threads: 0 to make each when it is asked for.
    """
    if num_threads == 0:
        yield from map(make, items)
        return
    with ThreadPoolExecutor(num_threads) as threads:
        waiting: deque[Future[Made]] = deque()
        for item in items:
            waiting.append(threads.submit(make, item))
            if len(waiting) > AHEAD * num_threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
