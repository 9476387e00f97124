"""The client without a generator, as its first lines say to call it."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.conftest import ROOT
from tests.live_server import LiveServer
from tests.pictures import file_of, noise, picture

CLIENT = ROOT / "openapi" / "python" / "client.py"
KEY = "the-key-of-the-client"
SECONDS = 60
MAX_LINES = 60


def run(folder: Path, url: str, *arguments: str, key: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(CLIENT), *arguments],
        cwd=folder,
        env={**os.environ, "BASE_URL": url, "API_KEY": key},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def test_it_draws_encodes_and_decodes(server: LiveServer, tmp_path: Path) -> None:
    file = file_of(picture(noise(28, 28, 1)))
    (tmp_path / "photo.png").write_bytes(file)
    done = run(tmp_path, server.url, "photo.png")
    assert done.returncode == 0, done.stderr
    (item,) = httpx.post(f"{server.url}/encode", files={"image": file}).json()["data"]
    assert done.stdout.splitlines() == [
        "two samples: (2, 28, 28, 1) of uint8",
        f"a photo is {len(item['mu'])} numbers, of which mu[0] is {item['mu'][0]:.3f}",
        "eight images between, in between.npy",
    ]
    between = np.load(tmp_path / "between.npy")
    assert (between.shape, between.dtype) == ((8, 28, 28, 1), np.uint8)
    headers = {"accept": "application/x-npy"}
    last = httpx.post(f"{server.url}/decode", json={"z": [item["mu"]]}, headers=headers).content
    assert last.endswith(between[-1].tobytes())


def test_it_sends_the_key_and_says_what_an_error_says(
    request: pytest.FixtureRequest, server: LiveServer, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    done = run(tmp_path, server.url, "notes.txt")
    assert done.returncode == 1
    assert done.stderr.startswith("400: ")
    with LiveServer("--device", str(request.config.getoption("--device")), "--api-keys", KEY) as locked:
        assert run(tmp_path, locked.url, key=KEY).returncode == 0
        assert run(tmp_path, locked.url).stderr.startswith("401: an API key is needed")


def test_it_is_short_enough_to_be_read() -> None:
    assert len(CLIENT.read_text().splitlines()) <= MAX_LINES
