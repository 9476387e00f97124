"""The load generator: wrk, from Debian, with a Lua script, and what it and the server cost meanwhile."""

import dataclasses
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.machine import busy_core_seconds
from tests.benchmarks.servers import Server
from tests.benchmarks.workloads import Workload

SCRIPT = Path(__file__).parent / "lua" / "request.lua"
RESULT = "RESULT "
# wrk keeps to its time whatever the server does; if it did not, the machine stood still.
HELD_UP = 1.5


@dataclasses.dataclass(frozen=True)
class Load:
    """What a run of wrk saw; cores are mean core seconds a second.

    Attributes:
        num_errors: Answers other than 2xx or 3xx, broken connections and time-outs.
        server_cores: Of the server's processes.
        wrk_cores: Of wrk.
        other_cores: Of everything else on the machine: these the server could not have.
        rss_bytes: Of the server, at the end.
    """

    clients: int
    requests: int
    seconds: float
    received_bytes: int
    num_errors: int
    mean_seconds: float
    p50_seconds: float
    p99_seconds: float
    p999_seconds: float
    server_cores: float
    wrk_cores: float
    other_cores: float
    rss_bytes: int

    @property
    def requests_per_second(self) -> float:
        """Answered requests."""
        return self.requests / self.seconds

    @property
    def server_core_seconds(self) -> float:
        """Core seconds of the server for one request."""
        return self.server_cores / self.requests_per_second


def run(server: Server, workload: Workload, *, clients: int, seconds: float) -> Load:
    """Load a server for some seconds; once more where something held the machine up meanwhile."""
    seen = _run(server, workload, clients=clients, seconds=seconds)
    while seen.seconds > max(1.0, seconds) * HELD_UP:
        seen = _run(server, workload, clients=clients, seconds=seconds)
    return seen


def _run(server: Server, workload: Workload, *, clients: int, seconds: float) -> Load:
    with sending(server, workload, clients=clients, seconds=seconds) as process:
        before = (busy_core_seconds(), server.core_seconds())
        output, wrk_core_seconds = _finish(process)
        busy, served = (busy_core_seconds() - before[0], server.core_seconds() - before[1])
    result = json.loads(output.split(RESULT, 1)[1])
    took = result["seconds"]
    return Load(
        clients=clients,
        **result,
        server_cores=served / took,
        wrk_cores=wrk_core_seconds / took,
        other_cores=max(0.0, busy - served - wrk_core_seconds) / took,
        rss_bytes=server.rss_bytes(),
    )


@contextmanager
def sending(
    server: Server, workload: Workload, *, clients: int, seconds: float
) -> Iterator[subprocess.Popen[str]]:
    """wrk under way; it is ended with the block."""
    with tempfile.NamedTemporaryFile() as body:
        body.write(workload.body)
        body.flush()
        environment = {
            "BENCH_BODY": body.name,
            "BENCH_CONTENT_TYPE": workload.content_type,
            "BENCH_ACCEPT": workload.accept,
        }
        command = ["wrk", "--threads=1", f"--connections={clients}", f"--duration={max(1, round(seconds))}s"]
        process = subprocess.Popen(
            [*command, "--timeout=60s", f"--script={SCRIPT}", server.url + workload.path],
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def _finish(process: subprocess.Popen[str]) -> tuple[str, float]:
    """Its whole output, and its core seconds."""
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or RESULT not in output:
        raise RuntimeError(f"wrk failed ({process.returncode}): {output}")
    return output, usage.ru_utime + usage.ru_stime
