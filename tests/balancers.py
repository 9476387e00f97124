"""HAProxy and nginx as an operator starts them, with the configuration that ships: only addresses differ."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest

from tests.balancer_files import Name, write_haproxy, write_nginx

START_SECONDS = 20
STOP_SECONDS = 10


class Balancer:
    """A running load balancer; a context manager.

    Args:
        program: `haproxy` or `nginx`.
        replicas: Their addresses, host:port, or the one name that all of them have.
        settings: HAProxy's environment variables without their prefix, as `{"RETRIES": "0"}`.
        edits: Text of its configuration file and what stands in its place, where there is no variable for it.

    Attributes:
        url: Where it takes requests.
        operations_url: Where it tells of itself.
    """

    def __init__(
        self,
        program: str,
        replicas: Sequence[str] | Name,
        *,
        settings: Mapping[str, str] | None = None,
        edits: Mapping[str, str] | None = None,
    ) -> None:
        self._program = program
        self._replicas = replicas
        self._settings = settings or {}
        self._edits = edits or {}
        self.url = self.operations_url = ""

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="balancer-"))
        self._folder.chmod(0o755)  # nginx's workers are another user
        ports = free_ports(2)
        self.url, self.operations_url = (f"http://127.0.0.1:{port}" for port in ports)
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                self._write(*ports),
                env=os.environ | {f"BALANCER_{name}": value for name, value in self._settings.items()},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            for port in ports:
                self._wait_for(port)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        finally:
            self._process.kill()
            shutil.rmtree(self._folder)

    def log(self) -> str:
        """Everything it wrote so far."""
        return (self._folder / "log").read_text()

    def _write(self, port: int, operations_port: int) -> list[str]:
        """Write its files; the command that starts it."""
        write = {"haproxy": write_haproxy, "nginx": write_nginx}[self._program]
        return write(
            self._folder, self._replicas, port=port, operations_port=operations_port, edits=self._edits
        )

    def _wait_for(self, port: int) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            time.sleep(0.01)
        raise RuntimeError(f"{self._program} did not start: {self.log()}")


def needs(program: str) -> pytest.MarkDecorator:
    """Skip a test where a program is not installed."""
    reason = f"{program} is not installed"
    return pytest.mark.skipif(shutil.which(program) is None, reason=reason)


PROGRAMS = [pytest.param(name, marks=needs(name)) for name in ("haproxy", "nginx")]


def before(replicas: Sequence[str] | Name, program: str, **settings: str) -> Balancer:
    """A load balancer before replicas that limits nobody's rate; `settings` are HAProxy's."""
    return Balancer(
        program,
        replicas,
        settings={"REQUESTS_PER_SECOND": "1000000", **settings},
        edits={"rate=1000r/s": "rate=1000000r/s"} if program == "nginx" else None,
    )


def free_ports(num: int) -> list[int]:
    """Ports that nobody listens on."""
    probes = [socket.socket() for _ in range(num)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports
