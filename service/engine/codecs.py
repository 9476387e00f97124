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
        """Have a task done, from any thread; it is refused where the threads have ended."""
        with self._changing:
            is_closed = self._is_closed
            if not is_closed:
                self._num_unfinished += 1
                if len(self._threads) < min(self._num_unfinished, self.num_threads):
                    self._start_thread()
                self._tasks.put(task)
        if is_closed:
            task.refuse(NotReady("the codec threads have ended"))

    def close(self) -> None:
        """Finish what was asked for, and end the threads."""
        with self._changing:
            self._is_closed = True
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()

    def _start_thread(self) -> None:
        name = f"codec-{len(self._threads)}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            task.run()
            del task  # while it sleeps, it holds on to no picture
            with self._changing:
                self._num_unfinished -= 1
