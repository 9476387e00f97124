"""A replica of the service, to be put behind a load balancer: its port stays, its device can be slowed."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.balancers import free_ports
from tests.live_server import LiveServer
from tests.scrape import samples

WAIT_SECONDS = 120
# A batch waits until a file is gone, or for as many seconds as it says.
SLOW_DEVICE = """
import contextlib, pathlib, time
from service.vae.cpu import CpuExecutor
launch = CpuExecutor.launch
def is_due(started):
    with contextlib.suppress(OSError, ValueError):
        return time.monotonic() - started >= float(pathlib.Path({path!r}).read_text())
    return True
def launch_when_due(self, operation, parts, size):
    started = time.monotonic()
    while not is_due(started):
        time.sleep(0.001)
    return launch(self, operation, parts, size)
CpuExecutor.launch = launch_when_due
"""


class Replica(LiveServer):
    """A server with one device thread.

    Args:
        checkpoint: What it serves.
        flags: Of `serve`.

    Attributes:
        address: host:port.
    """

    def __init__(self, checkpoint: Path, *flags: str) -> None:
        self._slow = Path(tempfile.mkdtemp(prefix="replica-")) / "seconds"
        [port] = free_ports(1)
        self.address = f"127.0.0.1:{port}"
        settings = ("--port", str(port), "--device", "cpu", "--device-threads", "1")
        super().__init__(
            "--checkpoint",
            str(checkpoint),
            *settings,
            *flags,
            prelude=SLOW_DEVICE.format(path=str(self._slow)),
        )

    def end(self) -> None:
        """End it without waiting for it to drain."""
        self.kill()
        self.__exit__()
        self._slow.parent.rmdir()

    def start_again(self) -> None:
        """Start it after it has ended."""
        self.__exit__()
        self.__enter__()

    def metric(self, series: str) -> float:
        """One of its metrics, as `vae_queued_items`."""
        return samples(httpx.get(f"{self.url}/metrics").text).get(series, 0.0)

    def num_answered(self) -> float:
        """Requests to /sample that it has answered since it was started."""
        return self.metric('vae_requests_total{code="200",operation="sample"}')

    def wait_until_it_answers(self) -> None:
        """Wait until the first request to /sample has come through since it was started."""
        self.wait_until(lambda: self.num_answered() > 0, WAIT_SECONDS)

    @contextmanager
    def device_takes(self, seconds: float) -> Iterator[None]:
        """Make each batch take so long, for a while."""
        self._slow.write_text(str(seconds))
        try:
            yield
        finally:
            self._slow.unlink()
