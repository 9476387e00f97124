"""Clients that send their next request when they have the answer to the last; what became of each is kept."""

import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple, Self
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 30
HEADERS = {"Content-Type": "application/json"}


class Outcome(NamedTuple):
    """What became of one request: its HTTP status, or the name of the exception that ended it."""

    result: int | str
    seconds: float


class ClosedLoop:
    """So many clients under way, each on a connection that it keeps; a context manager.

    Args:
        url: Of the server.
        num_clients: At the same time.
        path: Of the URL.
        body: JSON.
        pause_seconds: Between an answer and the next request.
    """

    def __init__(
        self,
        url: str,
        *,
        num_clients: int = 8,
        path: str = "/sample",
        body: bytes = b'{"n":1}',
        pause_seconds: float = 0.01,
    ) -> None:
        self._address = urlsplit(url).netloc
        self._path, self._body, self._pause_seconds = path, body, pause_seconds
        self._stopped = threading.Event()
        self._outcomes: list[list[Outcome]] = [[] for _ in range(num_clients)]
        self._clients = [threading.Thread(target=self._run, args=(each,)) for each in self._outcomes]

    def __enter__(self) -> Self:
        for client in self._clients:
            client.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for client in self._clients:
            client.join()

    @property
    def outcomes(self) -> list[Outcome]:
        """Every request that has ended so far."""
        return [outcome for each in self._outcomes for outcome in list(each)]

    @property
    def failures(self) -> Counter[int | str]:
        """How many requests ended otherwise than with 200, by how."""
        return Counter(outcome.result for outcome in self.outcomes if outcome.result != 200)

    def wait_for(self, num_more: int) -> None:
        """Wait until so many more requests have ended."""
        target = len(self.outcomes) + num_more
        self._wait(lambda: len(self.outcomes) >= target, f"{num_more} requests")

    def wait_for_those_under_way(self) -> None:
        """Wait until every request that has been sent by now has ended."""
        before = [len(each) for each in self._outcomes]
        self._wait(
            lambda: all(len(each) > num for each, num in zip(self._outcomes, before, strict=True)),
            "the requests under way",
        )

    def _wait(self, is_so: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not is_so():
            assert time.monotonic() < deadline, f"{what} took more than {TIMEOUT_SECONDS} s"
            time.sleep(0.005)

    def _run(self, outcomes: list[Outcome]) -> None:
        connection = http.client.HTTPConnection(self._address, timeout=TIMEOUT_SECONDS)
        while not self._stopped.wait(self._pause_seconds):
            started = time.perf_counter()
            try:
                connection.request("POST", self._path, self._body, HEADERS)
                answer = connection.getresponse()
                answer.read()
                result: int | str = answer.status
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                result = type(error).__name__
            outcomes.append(Outcome(result, time.perf_counter() - started))
        connection.close()
