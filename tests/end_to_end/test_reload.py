"""A checkpoint that is exchanged under load, again and again: no request fails, bad files change nothing."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from service import checkpoint
from service.description import describe
from tests import tiny_vae
from tests.live_server import LiveServer
from tests.planted import InDecode, planted, scripted
from tests.scrape import samples

NUM_RELOADS = 20
NUM_CLIENTS = 4
WAIT_SECONDS = 60
FLOOD_SECONDS = 5.0
SIGNALS_AT_A_TIME = 3


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tiny_vae.save(tmp_path / "tiny.pt")


@pytest.fixture
def live(file: Path, request: pytest.FixtureRequest) -> Iterator[LiveServer]:
    device = str(request.config.getoption("--device"))
    with LiveServer("--checkpoint", str(file), "--device", device, "--watch-seconds", "0") as live:
        yield live
    assert live.exit_code == 0


class Load:
    """Clients that ask without a pause, and count the status and the model version of each answer."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stop = threading.Event()
        self.answers: Counter[tuple[int, str]] = Counter()
        self.errors: list[str] = []
        self._threads = [threading.Thread(target=self._ask) for _ in range(NUM_CLIENTS)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        with httpx.Client(base_url=self._url, timeout=30) as client:
            while not self._stop.is_set():
                try:
                    answer = client.post("/sample", json={"n": 3, "seed": 1})
                    version = answer.headers["x-model-version"]
                    self.answers[answer.status_code, version] += 1
                    if answer.json()["model_version"] != version:
                        self.errors.append(f"{answer.json()['model_version']} was called {version}")
                except Exception as error:
                    self.errors.append(repr(error))


def counted(live: LiveServer, result: str) -> float:
    text = httpx.get(f"{live.url}/metrics").text
    return samples(text)[f'vae_model_reloads_total{{result="{result}"}}']


def reload(live: LiveServer, result: str) -> None:
    """Send SIGHUP and wait until one more file was loaded, or refused."""
    before = counted(live, result)
    live.reload()
    live.wait_until(lambda: counted(live, result) == before + 1, WAIT_SECONDS)


def served(live: LiveServer) -> str:
    """The version of the model that is served."""
    (model,) = httpx.get(f"{live.url}/models").json()["data"]
    return str(model["model_version"])


def version_of(file: Path) -> str:
    return describe(file).sha256[:12]


@pytest.mark.slow
def test_reloads_under_load_lose_nothing(live: LiveServer, file: Path) -> None:
    versions = {version_of(file)}
    with Load(live.url) as load:
        for count in range(NUM_RELOADS):
            tiny_vae.save(file, quality={"elbo": -2.0 - count})
            versions.add(version_of(file))
            reload(live, "loaded")
            live.wait_until(lambda: served(live) == version_of(file), WAIT_SECONDS)
            answered = load.answers.total()
            live.wait_until(lambda: load.answers.total() > answered + NUM_CLIENTS, WAIT_SECONDS)  # noqa: B023
    assert load.errors == []
    assert {status for status, _ in load.answers} == {200}
    assert {version for _, version in load.answers} == versions
    assert len(versions) == NUM_RELOADS + 1
    found = samples(httpx.get(f"{live.url}/metrics").text)
    assert found["vae_queued_items"] == 0
    assert len([series for series in found if series.startswith("vae_model_info")]) == 1


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-500])


def corrupt(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2 :: 50] = bytes(len(content[len(content) // 2 :: 50]))
    file.write_bytes(content)


def change_shape(file: Path) -> None:
    shipped = checkpoint.load(Path(checkpoint.__file__).parent / "pretrained" / "fashion-mnist.pt")
    checkpoint.save(file, shipped.module, shipped.metadata.model_copy(update={"name": tiny_vae.NAME}))


def plant(file: Path) -> None:
    """A module that would write a file beside the checkpoint when it decodes."""
    planted(file, file, scripted(InDecode(sentinel_of(file))))


def sentinel_of(file: Path) -> Path:
    return file.with_name("sentinel")


@pytest.mark.parametrize("harm", [truncate, corrupt, change_shape, plant])
def test_a_bad_file_keeps_the_model_that_is_served(
    live: LiveServer, file: Path, harm: Callable[[Path], None]
) -> None:
    before = served(live)
    with Load(live.url) as load:
        harm(file)
        reload(live, "refused")
    assert load.errors == []
    assert set(load.answers) == {(200, before)}
    assert served(live) == before
    assert not sentinel_of(file).exists()
    live.wait_until(lambda: "is refused, what was served stays" in live.log(), WAIT_SECONDS)
    assert httpx.get(f"{live.url}/readyz").status_code == 200
    tiny_vae.save(file, quality={"elbo": -9.0})
    reload(live, "loaded")
    live.wait_until(lambda: served(live) == version_of(file), WAIT_SECONDS)


def test_a_changed_file_is_noticed_without_being_told(file: Path) -> None:
    with LiveServer("--checkpoint", str(file), "--watch-seconds", "0.1", "--device", "cpu") as live:
        tiny_vae.save(file, quality={"elbo": -4.0})
        live.wait_until(lambda: served(live) == version_of(file), WAIT_SECONDS)


def test_signals_that_come_within_each_other_stop_nothing(live: LiveServer) -> None:
    ends = time.monotonic() + FLOOD_SECONDS
    while time.monotonic() < ends:
        for _ in range(SIGNALS_AT_A_TIME):
            os.kill(live.pid, signal.SIGHUP)
        time.sleep(0.001)
    assert httpx.get(f"{live.url}/livez", timeout=WAIT_SECONDS).status_code == 200
