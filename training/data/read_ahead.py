"""Batches that are made in threads before they are asked for, so that the device need not wait for them."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from torch import Tensor

BATCHES_AHEAD = 2  # for each thread


def read_ahead(
    gather: Callable[[Tensor], Tensor], batches: Iterable[Tensor], *, num_threads: int
) -> Iterator[Tensor]:
    """What `gather` makes of each batch, in order, a few of them made in threads before they are asked for.

    Threads, not processes: gathering holds no lock of Python's, and needs no copy in shared memory.
    """
    if num_threads == 0:
        yield from map(gather, batches)
        return
    with ThreadPoolExecutor(num_threads) as threads:
        waiting: deque[Future[Tensor]] = deque()
        for indices in batches:
            waiting.append(threads.submit(gather, indices))
            if len(waiting) > BATCHES_AHEAD * num_threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
