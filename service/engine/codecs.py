"""The threads for steps that would hold a batch up: image files to arrays, and arrays to answers."""

import queue
import threading

from service.engine.steps import Task
from service.errors import NotReady


class Codecs:
    """A pool of codec threads.

    A thread is started only where all are busy: each keeps the memory of its largest picture.

    Args:
        num_threads: How many at the most.
    """

    def __init__(self, num_threads: int) -> None:
        self.num_threads = num_threads
        self._is_closed = False
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._num_unfinished = 0
        self._changing = threading.Lock()

    def put(self, task: Task) -> None:
        """Have a task done, from any thread; it is refused where there are no threads to do it."""
        with self._changing:
            refusal = "the codec threads have ended" if self._is_closed else self._grow()
            if not refusal:
                self._num_unfinished += 1
                self._tasks.put(task)
        if refusal:
            task.refuse(NotReady(refusal))

    def close(self) -> None:
        """Finish what was asked for, and end the threads."""
        with self._changing:
            self._is_closed = True
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()

    def _grow(self) -> str:
        """Start a thread where all are busy; why there is none at all, empty where there is one."""
        if len(self._threads) >= min(self._num_unfinished + 1, self.num_threads):
            return ""
        thread = threading.Thread(target=self._work, name=f"codec-{len(self._threads)}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the system has no more; those that there are do the work
            return "" if self._threads else f"no codec thread can be started: {error}"
        self._threads.append(thread)
        return ""

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            task.run()
            del task  # while it sleeps, it holds on to no picture
            with self._changing:
                self._num_unfinished -= 1
