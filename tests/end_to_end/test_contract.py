"""The service keeps its OpenAPI document, on whatever schemathesis thinks of, and so does a server with keys.

VAE_TEST_EXAMPLES=200 make test ARGS="-k test_contract"    draws more than 25 for each check
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import IS_CI, ROOT
from tests.live_server import LiveServer

CONFIG = Path(__file__).with_name("contract.toml")
EXAMPLES = int(os.environ.get("VAE_TEST_EXAMPLES", "25"))
SECONDS = 600 + 10 * EXAMPLES
KEY = "the-key-of-the-contract"
KEY_HEADER = {"Authorization": f"Bearer {KEY}"}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def locked_server(request: pytest.FixtureRequest) -> Iterator[LiveServer]:
    """A server that asks for a key."""
    device = str(request.config.getoption("--device"))
    with LiveServer("--device", device, "--api-keys", KEY) as live:
        yield live
    assert live.exit_code == 0


def hold(server: LiveServer, folder: Path, *headers: str) -> None:
    """Let schemathesis call every operation with the headers; every check of its must pass."""
    program = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run"]
    flags = ["--max-examples", str(EXAMPLES), "--checks", "all", "--no-color"]
    model = httpx.get(f"{server.url}/v2/models/fashion-mnist", headers=KEY_HEADER).json()
    sent = [part for header in headers for part in ("--header", header)]
    flags += ["--seed", "1"] if IS_CI else []
    done = subprocess.run(
        [*program, *flags, *sent, f"{server.url}/openapi.json"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "MODEL_VERSION": model["versions"][0]},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No issues found" in done.stdout


def test_a_server_keeps_its_contract(server: LiveServer, tmp_path: Path) -> None:
    hold(server, tmp_path)


def test_a_server_with_keys_keeps_it_too_and_gives_pictures_as_png(
    locked_server: LiveServer, tmp_path: Path
) -> None:
    hold(locked_server, tmp_path, f"Authorization: Bearer {KEY}", "Accept: image/png, */*;q=0.1")
