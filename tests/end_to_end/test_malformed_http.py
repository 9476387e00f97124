"""Requests that are wrong, as raw bytes over a socket: each has its answer, and the next request works."""

import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.benchmarks.vitals import vitals
from tests.live_server import LiveServer
from tests.malformed_requests import CASES, CHUNKED, MAX_HEADER_BYTES, OK, Case, get, post

WAIT_SECONDS = 60
HEADER_SECONDS = 2
KEEP_ALIVE_SECONDS = 8
LIMITS = (
    *("--header-timeout-seconds", str(HEADER_SECONDS)),
    *("--request-timeout-seconds", "16"),
    *("--keep-alive-seconds", str(KEEP_ALIVE_SECONDS)),
)
# Requests that are answered before their body of ten bytes.
EARLY = {
    "no such form": (406, post(b"", "Accept: text/html", length=10)),
    "too large": (413, post(b"", length=99999999)),
    "nobody asked for a body": (200, get("/livez", "Host: x", "Content-Length: 10")),
    "chunks": (406, post(b"f\r\n", "Accept: text/html", CHUNKED)),
    "another protocol": (
        406,
        post(b"", "Accept: text/html", "Connection: Upgrade", "Upgrade: h2c", length=10),
    ),
}


@pytest.fixture(scope="module")
def live(tiny_checkpoint: Path) -> Iterator[LiveServer]:
    with LiveServer("--checkpoint", str(tiny_checkpoint), "--device", "cpu", *LIMITS) as live:
        httpx.post(f"{live.url}/sample", json={}).raise_for_status()
        before = vitals(live.pid).num_descriptors
        yield live
        live.wait_until(lambda: vitals(live.pid).num_descriptors <= before, WAIT_SECONDS)
        assert "Traceback" not in live.log()
    assert live.exit_code == 0


def connect(live: LiveServer) -> socket.socket:
    parts = urlsplit(live.url)
    return socket.create_connection((parts.hostname, parts.port), WAIT_SECONDS)


def exchange(live: LiveServer, content: bytes, *, leaves_half: bool = False) -> bytes:
    """Send it all, and read until the connection ends or nothing more can be expected."""
    with connect(live) as client:
        with suppress(BrokenPipeError, ConnectionResetError):  # it may be refused before its end
            client.sendall(content)
        if leaves_half:
            client.shutdown(socket.SHUT_WR)
        answer = b""
        with suppress(ConnectionResetError):
            while not is_whole(answer) and (more := client.recv(2**16)):
                answer += more
        return answer


def is_whole(answer: bytes) -> bool:
    head, found, body = answer.partition(b"\r\n\r\n")
    lengths = [
        int(line.split(b":")[1])
        for line in head.lower().split(b"\r\n")
        if line.startswith(b"content-length:")
    ]
    return bool(found) and (not lengths or len(body) >= lengths[0])


def test_there_are_more_than_sixty() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 60


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_has_its_answer_and_the_next_request_works(live: LiveServer, case: Case) -> None:
    answer = exchange(live, case.content, leaves_half=case.leaves_half)
    status = int(answer.split(b" ", 2)[1]) if answer else None
    assert status == case.status, answer[:500]
    if status is not None and status >= 400:
        head, _, body = answer.partition(b"\r\n\r\n")
        assert b"application/problem+json" in head
        problem = json.loads(body)
        assert problem["status"] == status
        assert f"x-request-id: {problem['request_id']}".encode() in head
        assert problem["detail"]
        assert len(body) < 2000  # what was sent is not sent back
    assert httpx.post(f"{live.url}/sample", json={"n": 1}).status_code == OK


def test_rubbish_behind_a_good_request_does_not_cost_its_answer(live: LiveServer) -> None:
    answer = exchange(live, post('{"n":4}') + b"rubbish\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in answer


def test_requests_in_a_row_are_answered_in_a_row(live: LiveServer) -> None:
    with connect(live) as client:
        client.sendall(post('{"n":2}') + get("/nowhere") + get("/livez", "Host: x", "Connection: close"))
        answer = b""
        while more := client.recv(2**16):
            answer += more
    statuses = re.findall(rb"HTTP/1.1 (\d+)", answer)
    assert [int(status) for status in statuses] == [200, 404, 200]


def test_a_header_that_comes_drop_by_drop_is_given_up(live: LiveServer) -> None:
    started = time.monotonic()
    with connect(live) as client:
        client.sendall(b"GET /livez HTTP/1.1\r\nX: ")
        answer = b""
        client.settimeout(0.05)
        while not answer and time.monotonic() - started < WAIT_SECONDS:
            client.sendall(b"a")
            try:
                answer = client.recv(2**16)
            except TimeoutError:
                continue
    assert answer.startswith(b"HTTP/1.1 408")
    assert time.monotonic() - started < 10 * HEADER_SECONDS


def test_a_connection_that_idles_between_requests_is_not_given_up(live: LiveServer) -> None:
    with connect(live) as client:
        for _ in range(2):
            client.sendall(get("/livez"))
            assert answer_of(client).startswith(b"HTTP/1.1 200")
            time.sleep(2 * HEADER_SECONDS)


def answer_of(client: socket.socket) -> bytes:
    answer = b""
    while not is_whole(answer):
        more = client.recv(2**16)
        assert more, answer
        answer += more
    return answer


def seconds_until_closed(client: socket.socket) -> float:
    started = time.monotonic()
    with suppress(ConnectionResetError):
        assert client.recv(1) == b""
    return time.monotonic() - started


@pytest.mark.parametrize(("status", "content"), EARLY.values(), ids=EARLY)
def test_the_rest_of_a_body_that_was_answered_early_is_not_awaited_for_ever(
    live: LiveServer, status: int, content: bytes
) -> None:
    with connect(live) as client:
        client.sendall(content)
        assert answer_of(client).startswith(f"HTTP/1.1 {status}".encode())
        client.sendall(b"a")
        assert seconds_until_closed(client) < KEEP_ALIVE_SECONDS


def test_the_rest_of_a_body_cannot_trickle_for_ever(live: LiveServer) -> None:
    started = time.monotonic()
    with connect(live) as client:
        client.sendall(EARLY["too large"][1])
        assert answer_of(client).startswith(b"HTTP/1.1 413")
        with suppress(BrokenPipeError, ConnectionResetError):
            while time.monotonic() - started < WAIT_SECONDS:
                client.sendall(b"a")
                time.sleep(0.05)
    assert time.monotonic() - started < 10 * HEADER_SECONDS


@pytest.mark.parametrize("name", ["no such form", "nobody asked for a body", "chunks", "another protocol"])
def test_a_connection_does_not_outlive_a_body_that_was_answered_early(live: LiveServer, name: str) -> None:
    status, content = EARLY[name]
    with connect(live) as client:
        client.sendall(content)
        assert answer_of(client).startswith(f"HTTP/1.1 {status}".encode())
        client.sendall(b"0123456789abcde\r\n0\r\n\r\n" if name == "chunks" else b"0123456789")
        assert seconds_until_closed(client) < 2 * KEEP_ALIVE_SECONDS


def test_a_request_may_follow_a_body_that_was_answered_early(live: LiveServer) -> None:
    with connect(live) as client:
        for pieces in ([b"0123456789" + get("/livez")], [b"0123", b"456789", get("/livez")]):
            client.sendall(EARLY["no such form"][1])
            assert answer_of(client).startswith(b"HTTP/1.1 406")
            for piece in pieces:
                client.sendall(piece)
                time.sleep(0.1)
            assert answer_of(client).startswith(b"HTTP/1.1 200")
        time.sleep(2 * HEADER_SECONDS)
        client.sendall(get("/livez"))
        assert answer_of(client).startswith(b"HTTP/1.1 200")


def test_slow_connections_keep_nobody_out(live: LiveServer) -> None:
    slow: list[socket.socket] = []
    try:
        for _ in range(300):
            slow.append(connect(live))
            slow[-1].sendall(b"POST /sample HTTP/1.1\r\nHost:")
        assert httpx.post(f"{live.url}/sample", json={"n": 1}).status_code == OK
        assert {client.recv(2**16)[9:12] for client in slow} == {b"408"}
    finally:
        for client in slow:
            client.close()


def test_what_is_refused_is_counted_and_logged_in_a_line(live: LiveServer) -> None:
    exchange(live, get("/livez", "X: 1"))
    exchange(live, get("/livez", f"X: {'y' * MAX_HEADER_BYTES}"))
    text = httpx.get(f"{live.url}/metrics").text
    assert 'vae_requests_total{code="400",operation="other"}' in text
    assert 'vae_requests_total{code="431",operation="other"}' in text
    live.wait_until(lambda: {400, 431} <= {line["status"] for line in refused(live)}, WAIT_SECONDS)
    assert all({"request_id", "status", "detail"} <= line.keys() for line in refused(live))


def refused(live: LiveServer) -> list[dict[str, object]]:
    """The lines of the log about requests that were refused."""
    return [json.loads(line) for line in live.log().splitlines() if '"refused"' in line]
