"""Several processes that take requests from one port: `--workers`.

Each is a whole server with a model, a queue and threads of its own, so that none waits for another's Python
lock. The first is the process that was started: it starts the others, passes signals on to them, and ends
when one of them ends unasked. A worker whose first process is gone ends, too.
"""

import contextlib
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import wait
from typing import Any

# Beyond what a worker may take to end by itself.
JOIN_MARGIN_SECONDS = 5.0
SIGNAL_STATUS = 128
EXIT_WORKER_LOST = 1

log = logging.getLogger("service")


class Workers:
    """The processes beside the first one.

    Args:
        num: How many.
        work: What each runs, with its number, from 1 on, and `arguments`; what it returns is its exit status.
        arguments: Pickled for a new interpreter; sockets may be among them.
    """

    def __init__(self, num: int, work: Callable[..., int], *arguments: Any) -> None:  # noqa: ANN401
        context = multiprocessing.get_context("spawn")  # a fork would copy locks that threads hold
        self._processes = [
            context.Process(target=_run, args=(work, number, *arguments), name=f"worker-{number}")
            for number in range(1, num + 1)
        ]
        self._is_stopping = False
        self._has_lost_one = False

    def start(self) -> None:
        """Start them, and watch them from a thread."""
        with _ignored(signal.SIGINT, signal.SIGHUP):
            for process in self._processes:
                process.start()
        if self._processes:
            threading.Thread(target=self._watch, name="workers", daemon=True).start()

    def send(self, number: int) -> None:
        """Pass a signal on; SIGTERM and SIGINT say that they are to end."""
        self._is_stopping = self._is_stopping or number != signal.SIGHUP
        for process in self._processes:
            if process.pid is not None and process.exitcode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, number)

    def join(self, seconds: float) -> int:
        """Wait until they have ended, and kill those that have not after so long.

        Returns:
            The worst exit status; not 0 where one ended unasked, however well.
        """
        deadline = time.monotonic() + seconds + JOIN_MARGIN_SECONDS
        started = [process for process in self._processes if process.pid is not None]
        for process in started:
            process.join(max(0.0, deadline - time.monotonic()))
            if process.exitcode is None:
                process.kill()
                process.join()
        worst = max((_status(process.exitcode) for process in started), default=0)
        return worst or (EXIT_WORKER_LOST if self._has_lost_one else 0)

    def _watch(self) -> None:
        """End the service when a worker ends unasked: what starts it again starts all of them."""
        wait([process.sentinel for process in self._processes])
        if not self._is_stopping:
            self._has_lost_one = True
            log.error("a worker has ended: stopping the others")
            os.kill(os.getpid(), signal.SIGTERM)


def _run(work: Callable[..., int], number: int, *arguments: Any) -> None:  # noqa: ANN401
    os.setpgid(0, 0)  # Ctrl-C is for the first process, which passes it on
    threading.Thread(target=_end_with_the_first, name="parent", daemon=True).start()
    raise SystemExit(work(number, *arguments))


def _end_with_the_first() -> None:
    first = multiprocessing.parent_process()
    if first is not None:
        first.join()
        os.kill(os.getpid(), signal.SIGINT)


def _status(exit_code: int | None) -> int:
    """As a shell says it. One that was told to end before it could take signals has ended well."""
    if exit_code is None or exit_code == -signal.SIGTERM:
        return 0
    return exit_code if exit_code >= 0 else SIGNAL_STATUS - exit_code


@contextlib.contextmanager
def _ignored(*numbers: signal.Signals) -> Iterator[None]:
    """Let what is started meanwhile ignore signals until it has handlers of its own."""
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
