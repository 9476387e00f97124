"""Clients that ask a live server one request after another, and remember what they were told and when."""

import threading
import time
from typing import NamedTuple, Self

import httpx

LONG_SECONDS = 60


class Answer(NamedTuple):
    """The status of a request, 0 where there was no answer, and when it was sent and answered."""

    status: int
    sent: float
    answered: float


class SteadyClients:
    """Clients that ask for samples, each with a connection that it keeps; a context manager.

    Args:
        url: Of the server.
        num_clients: How many ask at a time.

    Attributes:
        answers: In the order in which they came.
    """

    def __init__(self, url: str, num_clients: int) -> None:
        self._url = url
        self._is_over = threading.Event()
        self._came = threading.Condition()
        self.answers: list[Answer] = []
        self._threads = [threading.Thread(target=self._ask, args=(1 + n,)) for n in range(num_clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join(LONG_SECONDS)
            assert not thread.is_alive()

    def wait_for(self, status: int, num: int = 1) -> Answer:
        """Wait until so many requests were answered with a status; the last of them."""

        def found() -> list[Answer]:
            return [answer for answer in self.answers if answer.status == status][:num]

        with self._came:
            assert self._came.wait_for(lambda: len(found()) == num, LONG_SECONDS), self.answers[-5:]
            return found()[-1]

    def _ask(self, n: int) -> None:
        with httpx.Client(base_url=self._url, timeout=LONG_SECONDS) as client:
            while not self._is_over.is_set():
                sent = time.monotonic()
                try:
                    status = client.post("/sample", json={"n": n}).status_code
                except httpx.TransportError:
                    status = 0
                with self._came:
                    self.answers.append(Answer(status, sent, time.monotonic()))
                    self._came.notify_all()
                if not status:
                    return
