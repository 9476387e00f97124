"""SIGTERM loses nothing: not ready at once, answers for the drain time, then ends with 0."""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from service.api.protocol.schemas import example
from tests.faulty_device import FaultyDevice
from tests.half_a_request import half_a_request
from tests.live_server import LiveServer

DRAIN_SECONDS = 12.0
# A busy machine may be so late.
SLACK_SECONDS = 6.0
CPU = ("--device", "cpu", "--max-batch-size", "8")


def test_a_server_that_is_told_to_stop_drains_first(
    tiny_checkpoint: Path, request: pytest.FixtureRequest
) -> None:
    device = str(request.config.getoption("--device"))
    flags = ("--device", device, "--checkpoint", str(tiny_checkpoint), "--drain-seconds", str(DRAIN_SECONDS))
    with LiveServer(*flags) as live, httpx.Client(base_url=live.url, verify=False) as client:
        assert client.get("/readyz").status_code == 200
        untold = time.monotonic()
        live.terminate()
        told = asked = time.monotonic()
        while (ready := client.get("/readyz")).status_code == 200:
            assert asked - told < SLACK_SECONDS
            asked = time.monotonic()
        assert ready.json() == {"status": "draining"}
        assert ready.headers["connection"] == "close"
        assert "vae_ready 0.0" in client.get("/metrics").text
        while time.monotonic() - untold < DRAIN_SECONDS - SLACK_SECONDS:
            assert client.post("/sample", json={"n": 2}).status_code == 200
            assert client.get("/livez").status_code == 200
        assert live.wait(DRAIN_SECONDS + 5) == 0
    assert time.monotonic() - untold >= DRAIN_SECONDS
    assert '"message": "stopped"' in live.log().splitlines()[-1]


def test_a_second_signal_ends_it_at_once(tiny_checkpoint: Path) -> None:
    with LiveServer(*CPU, "--checkpoint", str(tiny_checkpoint), "--drain-seconds", "600") as live:
        live.terminate()
        while httpx.get(f"{live.url}/readyz").status_code == 200:
            continue
        live.terminate()
        assert live.wait(60) == 0


@pytest.fixture
def device(tmp_path: Path) -> FaultyDevice:
    return FaultyDevice(tmp_path)


def ask(live: LiveServer, requests: ThreadPoolExecutor) -> "Future[httpx.Response]":
    """Send a request, and wait until the device has it."""
    answer = requests.submit(httpx.post, f"{live.url}/sample", json={"n": 1}, timeout=60)
    while "vae_queue_seconds_count 1.0" not in httpx.get(f"{live.url}/metrics").text:
        assert not answer.done()
    return answer


def wait_until_it_listens_no_more(live: LiveServer) -> None:
    with suppress(httpx.TransportError):
        while True:
            httpx.get(f"{live.url}/livez")


def test_what_is_in_flight_at_the_end_is_answered(device: FaultyDevice, tiny_checkpoint: Path) -> None:
    with (
        LiveServer(*CPU, "--checkpoint", str(tiny_checkpoint), prelude=device.prelude) as live,
        ThreadPoolExecutor() as requests,
    ):
        device.begin("hangs")
        answer = ask(live, requests)
        live.terminate()
        wait_until_it_listens_no_more(live)
        assert not answer.done()
        device.end()
        assert answer.result().status_code == 200
        assert live.wait(10) == 0


def test_what_is_still_in_flight_after_the_grace_is_told_503_and_does_not_hold_the_end_up(
    device: FaultyDevice, tiny_checkpoint: Path
) -> None:
    flags = (*CPU, "--checkpoint", str(tiny_checkpoint), "--shutdown-grace-seconds", "1")
    with (
        LiveServer(*flags, prelude=device.prelude) as live,
        ThreadPoolExecutor() as requests,
        half_a_request(live.url) as connection,
    ):
        device.begin("hangs for ever")
        answer = ask(live, requests)
        infer = requests.submit(httpx.post, f"{live.url}/v2/models/tiny/infer", json=example(4), timeout=60)
        while "vae_admitted_items 2.0" not in httpx.get(f"{live.url}/metrics").text:
            assert not infer.done()
        untold = time.monotonic()
        live.terminate()
        for future, media_type in ((answer, "application/problem+json"), (infer, "application/json")):
            cut_off = future.result()
            assert time.monotonic() - untold > 0.9
            assert cut_off.status_code == 503
            assert cut_off.headers["content-type"] == media_type
            assert int(cut_off.headers["retry-after"]) >= 1
        assert connection.recv(1000).startswith(b"HTTP/1.1 503 ")
        assert live.wait(8) == 0
    assert "Traceback" not in live.log()
