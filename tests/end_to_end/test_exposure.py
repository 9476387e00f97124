"""What a server shows of itself, and that it says so where it is open to everybody."""

import httpx
import pytest

from tests.live_server import LiveServer

WARNING = "whoever reaches 0.0.0.0 can use this service: set VAE_API_KEYS or VAE_API_KEYS_FILE"


def test_a_server_open_to_the_network_warns(request: pytest.FixtureRequest) -> None:
    with LiveServer("--device", str(request.config.getoption("--device")), "--host", "0.0.0.0") as server:
        pass
    assert WARNING in server.log()


def test_a_server_for_this_machine_does_not(server: LiveServer) -> None:
    assert "can use this service" not in server.log()


def test_no_answer_says_what_software_it_comes_from(server: LiveServer) -> None:
    for path in ("/livez", "/nowhere", "/docs"):
        answer = httpx.get(server.url + path)
        assert not {"server", "x-powered-by"} & set(answer.headers)
