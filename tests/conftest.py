"""What tests share: a device, a tiny real checkpoint, an app in this process, a live server, real data."""

import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import httpx
import pytest
import torch
from fastapi import FastAPI
from hypothesis import HealthCheck, settings

from service.app import create_app
from service.settings import Settings
from tests import tiny_vae
from tests.live_server import LiveServer

ROOT = Path(__file__).parents[1]
# What httpx waits for an answer where a test says nothing else: its own 5 s are less than a busy machine
# may make a process stand still.
PATIENCE_SECONDS = 60.0

# Continuous integration judges a change by the same examples each time; by hand one looks further.
IS_CI = "CI" in os.environ
# How fast the machine is, is no matter of a property.
settings.register_profile(
    "patient", deadline=None, derandomize=IS_CI, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("patient")

RunningApp = Callable[..., AbstractAsyncContextManager[tuple[FastAPI, httpx.AsyncClient]]]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--device", default="cpu", help="where models run: cpu (default), cuda or cuda:N")
    parser.addoption("--image", action="store_true", help="build the container image and run it (minutes)")
    parser.addoption("--restarts", type=int, default=2, help="rolling restarts behind HAProxy (default 2)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if str(config.getoption("--device")).startswith("cuda"):
        return
    for item in items:
        if "gpu" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="needs --device cuda"))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest) -> torch.device:
    return torch.device(request.config.getoption("--device"))


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> Iterator[None]:
    """The developer's own VAE_* settings change no test."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [
            name for name in os.environ if name.startswith("VAE_") and not name.startswith("VAE_TEST_")
        ]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="session", autouse=True)
def _httpx_is_patient() -> Iterator[None]:
    """A machine that pauses fails no request; a test that means a shorter time says so itself."""
    with pytest.MonkeyPatch.context() as patch:
        for function in (httpx.request, httpx.get, httpx.post, httpx.Client.__init__):
            assert "timeout" in function.__kwdefaults__, function
            patch.setitem(function.__kwdefaults__, "timeout", PATIENCE_SECONDS)
        yield


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_is_heard() -> Iterator[None]:
    """Tests press Ctrl-C, which whatever a shell runs in the background ignores, and all that it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real checkpoint file whose answers can be computed by hand; see tests/tiny_vae.py."""
    return tiny_vae.save(tmp_path_factory.mktemp("checkpoint") / "tiny.pt")


@pytest.fixture(scope="session")
def running_app(tiny_checkpoint: Path, device: torch.device) -> RunningApp:
    """Start an app in this process: `async with running_app(max_images=2) as (app, client)`."""

    @asynccontextmanager
    async def run(**changes: object) -> AsyncIterator[tuple[FastAPI, httpx.AsyncClient]]:
        settings = {
            "checkpoint": tiny_checkpoint,
            "device": str(device),
            "precision": "float32",
            "device_threads": 2,
            "codec_threads": 2,
        }
        app = create_app(Settings(**{**settings, **changes}))
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://service") as client,
        ):
            yield app, client

    return run


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Iterator[LiveServer]:
    """The service as a process of its own, with the shipped checkpoint."""
    with LiveServer("--device", str(request.config.getoption("--device"))) as live:
        yield live
    assert live.exit_code == 0


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets; VAE_TEST_DATA says where it is, `../shared/data` being the default."""
    folder = Path(os.environ.get("VAE_TEST_DATA", ROOT.parent / "shared" / "data")).resolve()
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} does not exist; VAE_TEST_DATA names another folder")
    return folder
