"""Servers under test, each in a process session of its own, so that all of its processes can be counted."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from tests.benchmarks import machine
from tests.benchmarks.workloads import Workload

START_SECONDS = 120
SETTLE_SECONDS = 5.0  # the other workers start once the first one is ready
REPOSITORY = Path(__file__).parents[2]


class Server:
    """A running server; leaving the context ends it.

    Args:
        name: As shown in the tables.
        arguments: Of Python; `{port}` is replaced by a free one.
        environment: Added to that of this process.
        ready_path: Answers 200 when it is ready.
        settle_seconds: What it takes from then until all of its processes answer.

    Attributes:
        seconds_to_ready: From starting the process.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        ready_path: str,
        settle_seconds: float = 0.0,
    ) -> None:
        self.name = name
        self._arguments = arguments
        self._environment = environment
        self._ready_path = ready_path
        self._settle_seconds = settle_seconds
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  as long as the server
        self.url = ""
        self.seconds_to_ready = 0.0

    def __enter__(self) -> "Server":
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        arguments = [argument.replace("{port}", str(port)) for argument in self._arguments]
        started = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=REPOSITORY,
            env=os.environ | dict(self._environment),
            stdout=subprocess.DEVNULL,
            stderr=self._log,
            start_new_session=True,
        )
        try:
            self._wait_until_ready(started)
            time.sleep(self._settle_seconds)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.resume()
        self._process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        self._signal(signal.SIGKILL)
        self._process.wait()

    def ask(self, workload: Workload) -> bytes:
        """One request; the body of the answer."""
        headers = {"Content-Type": workload.content_type, "Accept": workload.accept}
        request = urllib.request.Request(self.url + workload.path, workload.body, headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            content: bytes = answer.read()
        return content

    @property
    def pid(self) -> int:
        """Of its first process."""
        return self._process.pid

    def core_seconds(self) -> float:
        """Core seconds used so far."""
        return machine.session_core_seconds(self._process.pid)

    def rss_bytes(self) -> int:
        """Resident memory of all its processes."""
        return machine.session_rss_bytes(self._process.pid)

    def pause(self) -> None:
        """Stop all its processes, so that another server has the cores to itself."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let them go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        for pid in machine.session_pids(self._process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _wait_until_ready(self, started: float) -> None:
        while time.perf_counter() - started < START_SECONDS:
            if self._process.poll() is not None:
                self._log.seek(0)
                said = self._log.read().decode(errors="replace")
                raise RuntimeError(f"{self.name} ended with exit status {self._process.returncode}: {said}")
            with suppress(urllib.error.URLError, ConnectionError, TimeoutError):
                urllib.request.urlopen(self.url + self._ready_path, timeout=2).close()
                self.seconds_to_ready = time.perf_counter() - started
                return
            time.sleep(0.02)
        raise RuntimeError(f"{self.name} was not ready within {START_SECONDS} s")


def service(
    checkpoint: Path,
    *,
    device: str = "auto",
    precision: str = "auto",
    environment: Mapping[str, str] | None = None,
) -> Server:
    """This project's service; its log is off, and its queue is long enough for 128 clients with 64 images."""
    settings = {
        "VAE_CHECKPOINT": str(checkpoint),
        "VAE_DEVICE": device,
        "VAE_PRECISION": precision,
        "VAE_LOG_LEVEL": "warning",
        "VAE_DRAIN_SECONDS": "0",
        "VAE_MAX_QUEUED_ITEMS": str(128 * 64),
        **(environment or {}),
    }
    arguments = ["-m", "service", "serve", "--port", "{port}"]
    settle_seconds = SETTLE_SECONDS * (int(settings.get("VAE_WORKERS", 1)) - 1)
    return Server(
        "service", arguments, environment=settings, ready_path="/readyz", settle_seconds=settle_seconds
    )


def as_shipped(checkpoint: Path, *, environment: Mapping[str, str] | None = None) -> Server:
    """This project's service with every setting at its default, its log and its queue too."""
    settings = {"VAE_CHECKPOINT": str(checkpoint), "VAE_DRAIN_SECONDS": "0", **(environment or {})}
    arguments = ["-m", "service", "serve", "--port", "{port}"]
    return Server("service", arguments, environment=settings, ready_path="/readyz")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
