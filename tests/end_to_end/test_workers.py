"""Several processes on one port: they answer alike, are counted together, and end together."""

import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.description import describe
from tests import tiny_vae
from tests.benchmarks.vitals import vitals
from tests.live_server import LiveServer
from tests.scrape import samples

WAIT_SECONDS = 60
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tiny_vae.save(tmp_path / "tiny.pt")


@pytest.fixture
def live(file: Path) -> Iterator[LiveServer]:
    flags = ("--checkpoint", str(file), "--workers", "2", "--watch-seconds", "0")
    with LiveServer(*flags) as live:
        live.wait_until(lambda: "worker 1 takes requests" in live.log(), WAIT_SECONDS)
        yield live


def other(live: LiveServer) -> int:
    """The process beside the first one."""
    children = Path(f"/proc/{live.pid}/task/{live.pid}/children").read_text().split()
    (pid,) = [int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return pid


def is_running(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process stands still meanwhile, so that it is the other one that answers."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def connections(live: LiveServer, num: int) -> Iterator[list[socket.socket]]:
    """Opened at the same moment, or nearly."""
    address = ("127.0.0.1", httpx.URL(live.url).port or 0)
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(socket.create_connection(address, timeout=WAIT_SECONDS)) for _ in range(num)
        ]


def sample(live: LiveServer) -> bytes:
    answer = httpx.post(
        f"{live.url}/sample", json={"n": 3, "seed": 7}, headers={"Accept": "image/png"}, timeout=WAIT_SECONDS
    )
    assert answer.status_code == 200, answer.text
    return answer.content


def value_of(live: LiveServer, name: str) -> float | None:
    """A metric; None where a worker did not tell its own in time."""
    answer = httpx.get(f"{live.url}/metrics")
    return samples(answer.text).get(name) if answer.status_code == 200 else None


def test_both_answer_the_same_and_either_counts_for_both(live: LiveServer) -> None:
    images = []
    for pid in (live.pid, other(live)):
        with stopped(pid):
            images += [sample(live) for _ in range(3)]
    assert len(set(images)) == 1
    # A worker counts after it has answered, and whoever is asked for the sum may be faster.
    live.wait_until(
        lambda: value_of(live, 'vae_requests_total{code="200",operation="sample"}') == 6, WAIT_SECONDS
    )
    for _ in range(8):  # whichever is asked
        found = samples(httpx.get(f"{live.url}/metrics").text)
        assert found['vae_requests_total{code="200",operation="sample"}'] == 6
        assert found['vae_request_duration_seconds_bucket{le="+Inf",operation="sample"}'] == 6
        assert found["vae_ready"] == 1
        assert [value for name, value in found.items() if name.startswith("vae_model_info")] == [1]
    answer = httpx.get(f"{live.url}/metrics", headers={"Accept": OPENMETRICS})
    assert "# {request_id=" in answer.text
    assert answer.text.endswith("# EOF\n")


def test_connections_of_one_moment_are_divided(live: LiveServer) -> None:
    pids = (live.pid, other(live))
    with stopped(live.pid):  # until the other is there for certain
        sample(live)
    before = [vitals(pid).num_descriptors for pid in pids]

    def nums() -> list[int]:
        return [vitals(pid).num_descriptors - num for pid, num in zip(pids, before, strict=True)]

    with connections(live, 64):
        live.wait_until(lambda: sum(nums()) >= 64, WAIT_SECONDS)
        assert min(nums()) >= 10  # of a binomial distribution: less comes once in a hundred million times


@pytest.mark.parametrize("is_first", [True, False])
def test_the_other_takes_what_is_meant_for_one_that_hangs(live: LiveServer, is_first: bool) -> None:
    with stopped(live.pid if is_first else other(live)), connections(live, 32) as opened:
        for connection in opened:
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert {connection.recv(2**16)[9:12] for connection in opened} == {b"200"}


def test_a_port_that_several_share_is_taken_all_the_same(live: LiveServer) -> None:
    port = str(httpx.URL(live.url).port)
    second = LiveServer("--port", port, "--workers", "2")
    with pytest.raises(RuntimeError, match=f"port {port} on 127.0.0.1 cannot be used"), second:
        pass
    assert second.exit_code == 3


def test_a_scrape_that_would_leave_a_worker_out_is_refused(live: LiveServer) -> None:
    with stopped(other(live)):
        answer = httpx.get(f"{live.url}/metrics", timeout=WAIT_SECONDS)
    assert answer.status_code == 503
    assert "worker 1 does not tell its metrics" in answer.json()["detail"]


def test_both_load_a_changed_file_when_the_first_is_told(live: LiveServer, file: Path) -> None:
    tiny_vae.save(file, quality={"elbo": -7.0})
    live.reload()
    live.wait_until(lambda: value_of(live, 'vae_model_reloads_total{result="loaded"}') == 2, WAIT_SECONDS)

    def version() -> str:
        (model,) = httpx.get(f"{live.url}/models", timeout=WAIT_SECONDS).json()["data"]
        return str(model["model_version"])

    for pid in (live.pid, other(live)):
        with stopped(pid):  # counted as loaded, it is put in its place within moments
            live.wait_until(lambda: version() == describe(file).sha256[:12], WAIT_SECONDS)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_both_end_well_when_the_first_is_told(live: LiveServer, number: signal.Signals) -> None:
    pid = other(live)
    os.kill(live.pid, number)
    assert live.wait(WAIT_SECONDS) == 0
    assert not is_running(pid)
    assert "Traceback" not in live.log()


def test_a_worker_that_dies_ends_the_service_with_its_status(live: LiveServer) -> None:
    os.kill(other(live), signal.SIGKILL)
    assert live.wait(WAIT_SECONDS) == 128 + signal.SIGKILL
    assert "a worker has ended: stopping the others" in live.log()


def test_a_worker_does_not_outlive_the_first_process(live: LiveServer) -> None:
    pid = other(live)
    live.kill()
    live.wait_until(lambda: not is_running(pid), WAIT_SECONDS)


def test_a_worker_that_ends_well_but_unasked_ends_the_service_as_a_failure(live: LiveServer) -> None:
    os.kill(other(live), signal.SIGTERM)
    assert live.wait(WAIT_SECONDS) == 1
    assert "a worker has ended: stopping the others" in live.log()
