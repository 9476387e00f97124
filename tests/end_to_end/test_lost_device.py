"""A device that is lost for good: nobody is told 200 any more, and the process asks to be restarted."""

from pathlib import Path

import httpx

from tests.live_server import LiveServer

EXIT_DEVICE_LOST = 70

# From the moment that a file exists, the runtime raises what PyTorch raises once a CUDA context is broken.
LOSE_THE_DEVICE = """
import pathlib, torch
from service.vae.cpu import CpuExecutor
launch = CpuExecutor.launch
def launch_or_fail(self, operation, parts, size):
    if pathlib.Path({path!r}).exists():
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")
    return launch(self, operation, parts, size)
CpuExecutor.launch = launch_or_fail
"""


def test_a_lost_device_ends_the_process_and_answers_nobody_with_200(tmp_path: Path) -> None:
    lost = tmp_path / "lost"
    with LiveServer("--device", "cpu", prelude=LOSE_THE_DEVICE.format(path=str(lost))) as live:
        assert httpx.post(f"{live.url}/sample", json={}).status_code == 200
        lost.touch()
        assert httpx.post(f"{live.url}/sample", json={"n": 3}).status_code == 500
        for path in ("livez", "readyz"):
            try:
                status = httpx.get(f"{live.url}/{path}", timeout=2).status_code
            except httpx.TransportError:
                continue  # it has ended already
            assert status == 503
        assert live.wait(3) == EXIT_DEVICE_LOST
