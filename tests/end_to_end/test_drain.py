"""SIGTERM loses nothing: not ready at once, answers for the drain time, then ends with 0."""

import time

import httpx
import pytest

from tests.live_server import LiveServer

DRAIN_SECONDS = 2.0


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest) -> LiveServer:
    device = str(request.config.getoption("--device"))
    return LiveServer("--drain-seconds", str(DRAIN_SECONDS), "--device", device)


def test_a_server_that_is_told_to_stop_drains_first(server: LiveServer) -> None:
    with server as live, httpx.Client(base_url=live.url, timeout=10) as client:
        assert client.get("/readyz").status_code == 200
        live.terminate()
        told = time.monotonic()
        while (ready := httpx.get(f"{live.url}/readyz")).status_code == 200:
            assert time.monotonic() - told < 0.5
        assert ready.json() == {"status": "draining"}
        assert ready.headers["connection"] == "close"
        while time.monotonic() - told < DRAIN_SECONDS - 0.5:
            answer = httpx.post(f"{live.url}/sample", json={"n": 2})
            assert answer.status_code == 200
            assert httpx.get(f"{live.url}/livez").status_code == 200
        assert "vae_ready 0.0" in httpx.get(f"{live.url}/metrics").text
        assert live.wait(DRAIN_SECONDS + 5) == 0
    assert time.monotonic() - told >= DRAIN_SECONDS


def test_a_second_signal_ends_it_at_once() -> None:
    with LiveServer("--drain-seconds", "60") as live:
        live.terminate()
        time.sleep(0.2)
    assert live.exit_code == 0
