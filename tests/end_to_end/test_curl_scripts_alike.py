"""What all scripts in openapi/curl have in common: a key, every shell, and no need of jq."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.curl_scripts import SCRIPTS, SECONDS, RunScript
from tests.live_server import LiveServer

KEY = "the-key/of+the=tests"

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")


@pytest.fixture(scope="module")
def locked_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    """A server that whoever has the key can reach from anywhere."""
    file = tmp_path_factory.mktemp("keys") / "keys"
    file.write_text(f"an-older-key\n{KEY}\n")
    device = str(request.config.getoption("--device"))
    with LiveServer("--device", device, "--host", "0.0.0.0", "--api-keys-file", str(file)) as live:
        yield live
    assert KEY not in live.log()
    assert "whoever reaches" not in live.log()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_sends_the_key_that_it_is_given(
    run_script: RunScript, locked_server: LiveServer, script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = locked_server.url.replace("0.0.0.0", "127.0.0.1")
    monkeypatch.setenv("API_KEY", KEY)
    assert run_script(script.stem, base_url=url)
    monkeypatch.setenv("API_KEY", "")
    if script.stem not in ("health", "metrics"):
        run_script(script.stem, base_url=url, status=22)


def test_what_every_script_shows_is_tested() -> None:
    text = Path(__file__).with_name("test_curl_scripts.py").read_text()
    assert SCRIPTS
    for script in SCRIPTS:
        assert f'"{script.stem}"' in text


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_is_for_every_shell_and_says_what_it_shows(script: Path) -> None:
    lines = script.read_text().splitlines()
    assert lines[0] == "#!/bin/sh"
    assert re.fullmatch(r"# .{20,}\.", lines[1])
    assert [line for line in lines[2:] if line.startswith("#")] == []
    assert "BASE_URL=${BASE_URL:-http://127.0.0.1:8000}" in lines
    calls = [line for line in lines if "curl " in line]
    assert calls
    call = 'curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/'
    assert all(call in line for line in calls)
    assert os.access(script, os.X_OK)


def test_the_scripts_need_no_jq() -> None:
    assert all("jq" not in script.read_text() for script in SCRIPTS)


@pytest.mark.skipif(shutil.which("jq") is None, reason="there is no jq")
@pytest.mark.parametrize(
    ("name", "filter_", "expected"),
    [
        ("sample", ".data | length", "4"),
        ("models", ".default", "fashion-mnist"),
        ("infer", ".outputs[0].name", "images"),
    ],
)
def test_what_is_printed_goes_through_jq(
    run_script: RunScript, name: str, filter_: str, expected: str
) -> None:
    done = subprocess.run(
        ["jq", "-r", filter_],
        input=run_script(name),
        capture_output=True,
        text=True,
        check=True,
        timeout=SECONDS,
    )
    assert done.stdout.strip() == expected
