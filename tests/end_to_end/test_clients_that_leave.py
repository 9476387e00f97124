"""A client leaves while its request waits: its work is not done, its place is free, whatever is between."""

import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx
import pytest

from tests.balancers import PROGRAMS, before, needs
from tests.replica import WAIT_SECONDS, Replica
from tests.scrape import samples

BODY = b'{"n":1}'
HEAD = (
    b"POST /sample HTTP/1.1\r\nHost: service\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
)
# Within 0.1 s on a machine that does nothing else.
FREE_SECONDS = 2.0


@contextmanager
def reached(replica: Replica, front: str) -> Iterator[str]:
    """Where to send requests, so that they come to a replica directly or through a load balancer."""
    if front == "directly":
        yield replica.url
    else:
        with before([replica.address], front) as balancer:
            yield balancer.url


def ask(url: str) -> socket.socket:
    """A request under way."""
    parts = urlsplit(url)
    client = socket.create_connection((parts.hostname, parts.port), WAIT_SECONDS)
    client.sendall(HEAD % len(BODY) + BODY)
    return client


def num_started(replica: Replica) -> float:
    """Requests that the device has come to."""
    return replica.metric("vae_queue_seconds_count")


def seconds_until_there_is_room(client: httpx.Client) -> float:
    """How long a queue stays full from now on: requests that find room in it soon give up."""
    started = time.monotonic()
    while True:
        asked = time.monotonic()
        assert asked - started < WAIT_SECONDS
        if client.post("/sample", json={}, headers={"X-Request-Timeout-Ms": "200"}).status_code == 504:
            return asked - started


@pytest.mark.parametrize("front", ["directly", *PROGRAMS])
def test_the_work_of_a_client_that_left_is_not_done_and_its_place_is_free(
    replica: Replica, front: str
) -> None:
    started, cancelled = num_started(replica), replica.metric('vae_cancelled_total{stage="queued"}')
    with reached(replica, front) as url, httpx.Client(base_url=replica.url) as other:
        with replica.device_takes(WAIT_SECONDS):
            working = ask(replica.url)
            replica.wait_until(lambda: num_started(replica) == started + 1, WAIT_SECONDS)
            leaving = ask(url)
            replica.wait_until(lambda: replica.metric("vae_queued_items") == 1, WAIT_SECONDS)
            assert other.post("/sample", json={}).status_code == 429
            leaving.close()
            seconds = seconds_until_there_is_room(other)
        assert working.recv(100).startswith(b"HTTP/1.1 200")
        working.close()
    sys.stdout.write(f"{front}: its place was free after {1000 * seconds:.0f} ms\n")
    assert seconds < FREE_SECONDS
    assert replica.metric('vae_cancelled_total{stage="queued"}') == cancelled + 1
    assert num_started(replica) == started + 1


@needs("haproxy")
def test_the_queue_of_haproxy_is_bounded_and_who_leaves_it_reaches_no_replica(replica: Replica) -> None:
    started = num_started(replica)
    with before([replica.address], "haproxy", REPLICA_CONNECTIONS="1", MAX_QUEUED="1") as balancer:

        def num_queued() -> float:
            found = samples(httpx.get(f"{balancer.operations_url}/metrics").text)
            return found['haproxy_backend_current_queue{proxy="replicas"}']

        with replica.device_takes(WAIT_SECONDS):
            working = ask(balancer.url)
            replica.wait_until(lambda: num_started(replica) == started + 1, WAIT_SECONDS)
            leaving = ask(balancer.url)
            replica.wait_until(lambda: num_queued() == 1, WAIT_SECONDS)
            refused = httpx.post(f"{balancer.url}/sample", json={})
            leaving.close()
            replica.wait_until(lambda: num_queued() == 0, WAIT_SECONDS)
        assert working.recv(100).startswith(b"HTTP/1.1 200")
        working.close()
    assert refused.status_code == 429
    assert refused.json()["type"] == "about:blank#queue-full"
    assert refused.headers["retry-after"] == "1"
    assert num_started(replica) == started + 1
