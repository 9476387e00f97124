"""A device that is lost for good: nobody is told 200 any more, and the process asks to be restarted."""

import time
from pathlib import Path

import httpx
import pytest

from tests.faulty_device import FaultyDevice
from tests.half_a_request import half_a_request
from tests.live_server import LiveServer
from tests.steady_clients import SteadyClients

EXIT_DEVICE_LOST = 70
NUM_CLIENTS = 8
CPU = ("--device", "cpu", "--device-threads", "2", "--max-batch-size", "8")
WATCHDOG_SECONDS = 4
# A process that has lost its device answers 503 for a second, too short a time for a busy machine to ask it
# three times. Here it has five times as long, and its last resort comes as much later.
FAILED_SECONDS = 5
LONGER = """
from service import drain
drain.FAILED_SECONDS *= 5
drain.LAST_RESORT_SECONDS *= 5
"""
# After those and its short grace it has ended; with the usual grace its last resort would end it, later.
EXIT_SECONDS = 10


@pytest.fixture
def device(tmp_path: Path) -> FaultyDevice:
    return FaultyDevice(tmp_path)


def health(url: str, path: str) -> tuple[int, dict[str, str]]:
    answer = httpx.get(f"{url}/{path}", verify=False)  # spares reading certificates
    return answer.status_code, answer.json()


@pytest.mark.parametrize("fault", ["lost", "thread ends"])
def test_under_load_a_lost_device_ends_the_process_and_answers_nobody_with_200(
    device: FaultyDevice, tiny_checkpoint: Path, fault: str
) -> None:
    with (
        LiveServer(*CPU, "--checkpoint", str(tiny_checkpoint), prelude=device.prelude + LONGER) as live,
        half_a_request(live.url),
        SteadyClients(live.url, NUM_CLIENTS) as clients,
    ):
        clients.wait_for(200, 10 * NUM_CLIENTS)
        device.begin(fault)
        lost = clients.wait_for(500).answered
        assert health(live.url, "livez")[0] == 503
        assert time.monotonic() - lost < FAILED_SECONDS
        status, body = health(live.url, "readyz")
        assert (status, body["status"]) == (503, "failed")
        assert "must be restarted" in body["detail"]
        clients.wait_for(503)
        assert live.wait(EXIT_SECONDS) == EXIT_DEVICE_LOST
        assert time.monotonic() - lost < EXIT_SECONDS
    late = [answer.status for answer in clients.answers if answer.sent > lost]
    assert late
    assert set(late) <= {503, 0}
    assert "a device thread ended" in live.log()
    assert '"stopped"' not in live.log()


def test_a_device_that_hangs_is_not_ready_then_not_alive_and_then_the_process_ends(
    device: FaultyDevice, tiny_checkpoint: Path
) -> None:
    flags = (*CPU, "--checkpoint", str(tiny_checkpoint), "--watchdog-seconds", str(WATCHDOG_SECONDS))
    with (
        LiveServer(*flags, prelude=device.prelude + LONGER) as live,
        SteadyClients(live.url, NUM_CLIENTS) as clients,
    ):
        clients.wait_for(200, NUM_CLIENTS)
        worked = time.monotonic()
        device.begin("hangs for ever")
        hung = asked = time.monotonic()
        while (ready := health(live.url, "readyz"))[0] == 200:
            assert asked - hung < 2 * WATCHDOG_SECONDS
            asked = time.monotonic()
        assert time.monotonic() - worked > WATCHDOG_SECONDS - 0.1
        assert ready[1]["status"] == "stuck"
        assert "has not given a batch back" in ready[1]["detail"]
        alive = health(live.url, "livez")
        assert (alive[0], alive[1]["status"]) == (200, "ok")
        answered = clients.wait_for(503, NUM_CLIENTS).answered
        assert answered - worked > 2 * WATCHDOG_SECONDS - 0.1
        assert health(live.url, "livez")[0] == 503
        assert live.wait(EXIT_SECONDS) == EXIT_DEVICE_LOST
    assert set(answer.status for answer in clients.answers if answer.sent > hung + 0.5) <= {503, 0}
    assert {answer.status for answer in clients.answers} <= {200, 503, 0}


def test_a_device_that_comes_back_in_time_is_ready_again_and_has_lost_nothing(
    device: FaultyDevice, tiny_checkpoint: Path
) -> None:
    flags = (*CPU, "--checkpoint", str(tiny_checkpoint), "--watchdog-seconds", str(WATCHDOG_SECONDS))
    with (
        LiveServer(*flags, prelude=device.prelude) as live,
        SteadyClients(live.url, NUM_CLIENTS) as clients,
    ):
        clients.wait_for(200, NUM_CLIENTS)
        device.begin("hangs")
        while health(live.url, "readyz")[1]["status"] != "stuck":
            continue
        device.end()
        back = asked = time.monotonic()
        while health(live.url, "readyz")[0] != 200:
            assert asked - back < 4
            asked = time.monotonic()
        assert health(live.url, "livez") == (200, {"status": "ok"})
        clients.wait_for(200, len(clients.answers) + NUM_CLIENTS)
    assert {answer.status for answer in clients.answers} == {200}
    assert live.exit_code == 0
