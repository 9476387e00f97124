"""What HAProxy and nginx answer themselves has the shape of the service's errors; the rest they pass on."""

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx
import pytest

from service.settings import Settings
from tests.balancers import PROGRAMS, Balancer, before, needs
from tests.replica import Replica

MAX_BODY_BYTES = Settings.model_fields["max_body_bytes"].default
FIELDS = {"type", "title", "status", "detail", "param", "request_id"}
NOBODY = ["127.0.0.1:1"]
PATIENCE_SECONDS = 30

both = pytest.mark.parametrize("program", PROGRAMS)


def check_problem(answer: httpx.Response, status: int, code: str) -> None:
    """Check an answer of the load balancer against the service's own shape."""
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert set(problem) == FIELDS
    assert problem["type"] == f"about:blank#{code}"
    assert problem["status"] == status
    assert problem["request_id"] == answer.headers["x-request-id"] != ""


@contextmanager
def server(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """Something that takes connections, in place of a replica; its address."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                answer(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def talk(url: str, sent: bytes) -> bytes:
    """What comes back for these bytes until the other side closes, or has sent a whole problem."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), PATIENCE_SECONDS) as client:
        client.sendall(sent)
        received = b""
        while not received.endswith(b"}\n") and (more := client.recv(65536)):
            received += more
    return received


def headers_of(request: bytes) -> dict[str, str]:
    """The headers of a request, those that come twice joined with a comma."""
    found: dict[str, str] = {}
    for line in request.decode().partition("\r\n\r\n")[0].splitlines()[1:]:
        name, _, value = line.partition(": ")
        found[name.lower()] = f"{found[name.lower()]},{value}" if name.lower() in found else value
    return found


@both
def test_without_a_replica_the_answer_is_503(program: str) -> None:
    with before(NOBODY, program) as balancer:
        answer = httpx.post(f"{balancer.url}/sample", json={}, headers={"X-Request-ID": "my-id"})
    check_problem(answer, 503, "not-ready")
    assert answer.json()["request_id"] == "my-id"
    assert answer.headers["retry-after"] == "5"


@both
def test_a_replica_that_breaks_off_is_a_503_too(program: str) -> None:
    def hang_up(connection: socket.socket) -> None:
        connection.recv(65536)

    with server(hang_up) as address, before([address], program) as balancer:
        answer = httpx.post(f"{balancer.url}/sample", json={})
    check_problem(answer, 503, "not-ready")


@both
def test_the_metrics_of_a_replica_stay_inside(replica: Replica, program: str) -> None:
    with before([replica.address], program) as balancer:
        check_problem(httpx.get(f"{balancer.url}/metrics"), 404, "no-such-path")
        assert httpx.get(f"{balancer.url}/models").status_code == 200


@both
def test_a_body_over_the_limit_of_the_service_is_refused(replica: Replica, program: str) -> None:
    headers = {"Content-Type": "image/png"}
    with before([replica.address], program) as balancer:
        most = httpx.post(f"{balancer.url}/encode", content=bytes(MAX_BODY_BYTES), headers=headers)
        more = httpx.post(f"{balancer.url}/encode", content=bytes(MAX_BODY_BYTES + 1), headers=headers)
    assert most.status_code == 400  # it came through: the service says that it is no picture
    check_problem(more, 413, "body-too-large")


@both
def test_a_body_of_unknown_length_over_the_limit_is_refused(replica: Replica, program: str) -> None:
    pieces = (bytes(2**20) for _ in range(MAX_BODY_BYTES // 2**20 + 1))
    with before([replica.address], program) as balancer:
        answer = httpx.post(f"{balancer.url}/encode", content=pieces, headers={"Content-Type": "image/png"})
    check_problem(answer, 413, "body-too-large")


@both
@pytest.mark.parametrize("headers", [{"A": "y" * 33_000}, {f"A{i}": "y" * 7_000 for i in range(6)}])
def test_headers_over_the_limit_are_431(program: str, headers: dict[str, str]) -> None:
    with before(NOBODY, program) as balancer:
        answer = httpx.post(f"{balancer.url}/sample", json={}, headers=headers)
    check_problem(answer, 431, "headers-too-large")


@both
def test_a_client_over_its_rate_is_told_to_wait_and_others_are_not(replica: Replica, program: str) -> None:
    limited = Balancer(
        program,
        [replica.address],
        settings={"REQUESTS_PER_SECOND": "5"},
        edits={"rate=1000r/s": "rate=1r/s", "burst=1000": "burst=4"} if program == "nginx" else {},
    )
    with limited as balancer, httpx.Client(base_url=balancer.url) as client:
        answers = [client.post("/sample", json={}) for _ in range(20)]
        probes = [client.get("/readyz").status_code for _ in range(20)]
        elsewhere = httpx.HTTPTransport(local_address="127.0.0.2")
        with httpx.Client(transport=elsewhere, base_url=balancer.url) as other:
            assert other.post("/sample", json={}).status_code == 200
    statuses = [answer.status_code for answer in answers]
    assert statuses[:5] == [200] * 5
    refused = [answer for answer in answers if answer.status_code != 200]
    assert refused
    for answer in refused:
        check_problem(answer, 429, "rate-limited")
        assert answer.headers["retry-after"] == "1"
    assert probes == [200] * 20


SLOW_BODY = b"POST /sample HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{"
SLOW_HEADERS = b"POST /sample HTTP/1.1\r\nHost: a\r\n"


@needs("haproxy")
def test_haproxy_answers_408_to_who_is_too_slow() -> None:
    with Balancer(
        "haproxy", NOBODY, edits={"timeout http-request 10s": "timeout http-request 1s"}
    ) as balancer:
        headers, body = (talk(balancer.url, sent) for sent in (SLOW_HEADERS, SLOW_BODY))
    assert headers.startswith(b"HTTP/1.1 408 ")
    assert body.startswith(b"HTTP/1.1 408 ")
    problem = json.loads(body.partition(b"\r\n\r\n")[2])
    assert set(problem) == FIELDS
    assert (problem["type"], problem["status"]) == ("about:blank#too-slow", 408)


@needs("nginx")
def test_nginx_hangs_up_on_who_is_too_slow() -> None:
    edits = {f"client_{part}_timeout 10s": f"client_{part}_timeout 1s" for part in ("header", "body")}
    with Balancer("nginx", NOBODY, edits=edits) as balancer:
        assert talk(balancer.url, SLOW_HEADERS) == talk(balancer.url, SLOW_BODY) == b""


@both
def test_headers_of_a_request_reach_the_replica(program: str) -> None:
    seen: list[bytes] = []

    def record(connection: socket.socket) -> None:
        seen.append(connection.recv(65536))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with server(record) as address, before([address], program) as balancer:
        for request_id in ("my-id.1", 'not "one"'):
            sent = {"X-Request-ID": request_id, "traceparent": trace, "X-Forwarded-For": "192.0.2.7"}
            assert httpx.post(f"{balancer.url}/sample", json={}, headers=sent).status_code == 200
    kept, made = (headers_of(text) for text in seen if text.startswith(b"POST"))
    assert kept["x-request-id"] == "my-id.1"
    assert re.fullmatch(r"[A-Za-z0-9-]{32,36}", made["x-request-id"])
    assert kept["traceparent"] == trace
    assert kept["x-forwarded-for"].replace(" ", "").split(",") == ["192.0.2.7", "127.0.0.1"]
