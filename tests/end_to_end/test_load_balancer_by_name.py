"""Replicas that HAProxy and nginx find by name: requests go where DNS leads now, wherever it led before."""

import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from tests.balancer_files import Name
from tests.balancers import before, free_ports, needs
from tests.name_server import NameServer

FIRST, SECOND, THIRD = "127.0.0.2", "127.0.0.3", "127.0.0.4"
WAIT_SECONDS = 60


def nginx_resolves_names() -> bool:
    """Whether there is an nginx that looks names up again while it runs."""
    if shutil.which("nginx") is None:
        return False
    said = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=True).stderr
    return tuple(map(int, re.findall(r"\d+", said)[:3])) >= (1, 27, 3)


PROGRAMS = [
    pytest.param("haproxy", marks=needs("haproxy")),
    pytest.param(
        "nginx",
        marks=pytest.mark.skipif(not nginx_resolves_names(), reason="there is no nginx from 1.27.3 on"),
    ),
]


class SaysWhereItIs(BaseHTTPRequestHandler):
    """In place of a replica: ready, and each answer is its own address.

    It closes each connection: HAProxy goes on using those that it has kept to an address that left the name,
    until the replica closes them, as the service does when it ends.
    """

    protocol_version = "HTTP/1.0"
    wbufsize = -1

    def do_GET(self) -> None:
        host = str(self.server.server_address[0]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(host)))
        self.end_headers()
        self.wfile.write(host)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def replica(host: str, port: int) -> Iterator[None]:
    with ThreadingHTTPServer((host, port), SaysWhereItIs) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("program", PROGRAMS)
def test_requests_go_where_the_name_leads_now(program: str) -> None:
    [port] = free_ports(1)
    with ExitStack() as stack:
        for host in (FIRST, SECOND, THIRD):
            stack.enter_context(replica(host, port))
        names = stack.enter_context(NameServer([FIRST, SECOND]))
        name = Name(f"replicas.test:{port}", f"127.0.0.1:{names.port}")
        client = stack.enter_context(httpx.Client())

        def wait_for(url: str, hosts: set[str]) -> None:
            deadline = time.monotonic() + WAIT_SECONDS
            while {client.get(url).text for _ in range(20)} != hosts:
                assert time.monotonic() < deadline
                time.sleep(0.1)

        balancer = stack.enter_context(before(name, program))
        wait_for(balancer.url, {FIRST, SECOND})
        names.addresses = [SECOND]
        wait_for(balancer.url, {SECOND})
        names.addresses = [SECOND, THIRD]
        wait_for(balancer.url, {SECOND, THIRD})
