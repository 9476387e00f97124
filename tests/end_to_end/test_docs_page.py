"""A real browser shows the page of documents, under its policy and without the internet."""

import subprocess
from pathlib import Path

import pytest

from tests.chromium import MISSING, find_program
from tests.live_server import LiveServer

SECONDS = 120
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--virtual-time-budget=20000",
    "--enable-logging=stderr",
    "--dump-dom",
)


@pytest.fixture(scope="session")
def browser() -> str:
    """The browser's program."""
    found = find_program()
    if found is None:
        pytest.skip(MISSING)
    return found


def test_a_browser_shows_every_operation_and_refuses_nothing(
    server: LiveServer, browser: str, tmp_path: Path
) -> None:
    address = f"{server.url}/docs#/operations/sample"
    done = subprocess.run(
        [browser, *FLAGS, f"--user-data-dir={tmp_path}", address],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    for path in ("/sample", "/encode", "/decode", "/reconstruct", "/models", "/metrics"):
        assert f'data-path="{path}"' in done.stdout
    assert "Draw images from the prior." in done.stdout
    assert "Content Security Policy" not in done.stderr
