"""Replicas behind HAProxy and nginx as they ship: restarts, crashes and clients that leave lose nothing.

make test ARGS="-k 'rolling or killed' --restarts 6 -rP"    the long form, with its figures
"""

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from service.settings import Settings
from tests.balancers import PROGRAMS, Balancer, before, needs
from tests.closed_loop import ClosedLoop
from tests.replica import WAIT_SECONDS, Replica
from tests.scrape import samples

NUM_CLIENTS = 8


@pytest.fixture(scope="module")
def pair(tiny_checkpoint: Path) -> Iterator[list[Replica]]:
    """Two replicas that drain as long as is the default."""
    drain = ("--drain-seconds", str(Settings.model_fields["drain_seconds"].default))
    with ExitStack() as stack:
        replicas = []
        for _ in range(2):
            replicas.append(Replica(tiny_checkpoint, *drain))
            stack.callback(replicas[-1].end)
            replicas[-1].__enter__()
        yield replicas


def addresses(replicas: list[Replica]) -> list[str]:
    return [replica.address for replica in replicas]


def wait_until_down(balancer: Balancer, server: str) -> None:
    """Wait until HAProxy sends nothing more to a server."""
    series = f'haproxy_server_status{{proxy="replicas",server="{server}",state="DOWN"}}'
    deadline = time.monotonic() + WAIT_SECONDS
    while not samples(httpx.get(f"{balancer.operations_url}/metrics").text)[series]:
        assert time.monotonic() < deadline


@needs("haproxy")
@pytest.mark.slow
def test_a_rolling_restart_fails_no_request_even_without_retries(
    pair: list[Replica], request: pytest.FixtureRequest
) -> None:
    num_restarts = request.config.getoption("--restarts")
    with before(addresses(pair), "haproxy", RETRIES="0") as balancer, ClosedLoop(balancer.url) as clients:
        clients.wait_for(100)
        for number in range(num_restarts):
            replica = pair[number % 2]
            replica.terminate()
            wait_until_down(balancer, f"replica-{1 + number % 2}")
            clients.wait_for_those_under_way()  # which may have come to it just before
            answered = replica.num_answered()
            clients.wait_for(50)
            assert replica.num_answered() == answered, "a draining replica got something new"
            assert replica.wait(WAIT_SECONDS) == 0
            replica.start_again()
            replica.wait_until_it_answers()
        clients.wait_for(100)
    slowest = max(outcome.seconds for outcome in clients.outcomes)
    sys.stdout.write(
        f"{num_restarts} restarts, {len(clients.outcomes)} requests, slowest {1000 * slowest:.0f} ms\n"
    )
    assert not clients.failures
    assert len(clients.outcomes) >= 500 * num_restarts


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_replica_that_is_killed_costs_at_most_the_requests_under_way(
    pair: list[Replica], program: str
) -> None:
    with (
        before(addresses(pair), program) as balancer,
        ClosedLoop(balancer.url, pause_seconds=0.002) as clients,
    ):
        clients.wait_for(500)
        assert all(replica.num_answered() > 0 for replica in pair)
        pair[0].kill()
        clients.wait_for(500)
        started = time.monotonic()
        pair[0].start_again()
        pair[0].wait_until_it_answers()
        took = time.monotonic() - started
        clients.wait_for(100)
    sys.stdout.write(
        f"{program}: of {len(clients.outcomes)} failed {dict(clients.failures)}, back after {took:.1f} s\n"
    )
    assert clients.failures.total() <= NUM_CLIENTS
    # What can be lost is an answer that had begun to come.
    assert set(clients.failures) <= {"IncompleteRead", "ConnectionResetError"}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_slow_replica_gets_less(pair: list[Replica], program: str) -> None:
    answered = [replica.num_answered() for replica in pair]
    with (
        before(addresses(pair), program) as balancer,
        pair[0].device_takes(1),
        ClosedLoop(balancer.url) as clients,
    ):
        clients.wait_for(200)
    slow, fast = (replica.num_answered() - was for replica, was in zip(pair, answered, strict=True))
    assert slow + fast == len(clients.outcomes)
    assert 0 < slow < fast / 2
