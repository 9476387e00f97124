"""What all scripts in openapi/curl have in common: a key, every shell, errors shown, no need of jq."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from service.settings import Settings
from tests import tiny_vae
from tests.curl_scripts import SCRIPTS, SECONDS, RunScript
from tests.live_server import LiveServer

KEY = "the-key/of+the=tests"

# How a script that writes files begins: what is refused never becomes a file.
KEEPS_WHAT_IS_WHOLE = """\
OUT_DIR=${OUT_DIR:-.}
mkdir -p "$OUT_DIR"
part=$OUT_DIR/$$.part
# An error of the server (22 from curl) is shown; only a whole answer becomes a file.
trap 'if [ $? -eq 22 ] && [ -f "$part" ]; then cat "$part" >&2; echo >&2; fi; rm -f "$part"' EXIT
"""
WRITERS = [script for script in SCRIPTS if "OUT_DIR" in script.read_text()]
READERS = [script for script in SCRIPTS if "no such file" in script.read_text()]

# Without a key these are answered, or curl itself prints the refusal.
WITHOUT_A_KEY = {"health", "metrics"}
PRINTERS = {"sample"}

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


@pytest.fixture
def locked_url(locked_server: LiveServer) -> str:
    """Where the server that wants a key is reached from here."""
    return locked_server.url.replace("0.0.0.0", "127.0.0.1")


def contents_of(folder: Path) -> dict[str, bytes]:
    """What is in the files of a folder; curl empties that of an ETag before it has one."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".etag"}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_sends_the_key_that_it_is_given(
    run_script: RunScript, locked_url: str, script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_KEY", KEY)
    assert run_script(script.stem, base_url=locked_url)
    monkeypatch.setenv("API_KEY", "")
    if script.stem not in WITHOUT_A_KEY:
        run_script(script.stem, base_url=locked_url, status=22)


@pytest.mark.parametrize(
    "script",
    [script for script in SCRIPTS if script.stem not in WITHOUT_A_KEY | PRINTERS],
    ids=lambda script: script.stem,
)
def test_a_refusal_is_shown_and_leaves_no_file(
    script_error: RunScript, locked_url: str, script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_KEY", "not-the-key")
    problem = json.loads(script_error(script.stem, base_url=locked_url).splitlines()[-1])
    assert problem["status"] == 401
    assert problem["detail"]
    assert contents_of(tmp_path) == {}


@pytest.mark.parametrize("script", WRITERS, ids=lambda script: script.stem)
def test_a_refusal_leaves_what_was_written_before(
    run_script: RunScript,
    script_error: RunScript,
    locked_url: str,
    script: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("API_KEY", KEY)
    run_script(script.stem, base_url=locked_url)
    before = contents_of(tmp_path)
    assert before
    monkeypatch.setenv("API_KEY", "not-the-key")
    script_error(script.stem, base_url=locked_url)
    assert contents_of(tmp_path) == before


def test_of_several_models_the_latents_are_those_of_the_default_one(
    run_script: RunScript, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path / "models"
    models.mkdir()
    tiny_vae.save(models / "a.pt")
    shutil.copy(Settings().checkpoint, models / "b.pt")
    monkeypatch.setenv("OUT_DIR", "new/folder")
    with LiveServer("--checkpoint", str(models), "--device", "cpu") as live:
        for name in ("decode", "decode_npy"):
            assert run_script(name, base_url=live.url).split() == ["new/folder/decoded.png"]
        for name in ("infer", "infer_binary"):
            run_script(name, base_url=live.url)
    assert (tmp_path / "new/folder/decoded.png").exists()


@pytest.mark.parametrize("name", ["decode_npy", "encode_npy", "interpolate_pictures", "reconstruct"])
def test_a_text_sent_as_a_picture_leaves_none(script_error: RunScript, tmp_path: Path, name: str) -> None:
    (tmp_path / "notes.png").write_text("no picture")
    error = script_error(name, "notes.png", "notes.png")
    assert json.loads(error.splitlines()[-1])["status"] == 400
    assert contents_of(tmp_path) == {"notes.png": b"no picture"}


@pytest.mark.parametrize("script", WRITERS, ids=lambda script: script.stem)
def test_a_server_that_is_not_there_leaves_no_file(
    script_error: RunScript, script: Path, tmp_path: Path
) -> None:
    error = script_error(script.stem, base_url="http://127.0.0.1:9", status=7)
    assert re.fullmatch(r"curl: \(7\) .*\n", error)
    assert contents_of(tmp_path) == {}


def test_half_an_answer_is_neither_kept_nor_shown(script_error: RunScript, tmp_path: Path) -> None:
    class Half(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"half a picture")

    with HTTPServer(("127.0.0.1", 0), Half) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        error = script_error("sample_png", base_url=f"http://127.0.0.1:{server.server_port}", status=18)
        thread.join()
    assert re.fullmatch(r"curl: \(18\) .*\n", error)
    assert contents_of(tmp_path) == {}


@pytest.mark.parametrize("script", READERS, ids=lambda script: script.stem)
def test_a_file_that_is_not_there_is_named(script_error: RunScript, script: Path, tmp_path: Path) -> None:
    error = script_error(script.stem, "nothere.jpg", "nothere.jpg", status=2)
    assert error == "nothere.jpg: no such file\n"
    assert contents_of(tmp_path) == {}


def test_of_two_files_the_one_that_is_not_there_is_named(script_error: RunScript, tmp_path: Path) -> None:
    (tmp_path / "there.png").touch()
    error = script_error("interpolate_pictures", "there.png", "nothere.jpg", status=2)
    assert error == "nothere.jpg: no such file\n"


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
    comments = [line for line in lines[2:] if line.startswith("#")]
    assert all(line in KEEPS_WHAT_IS_WHOLE for line in comments)
    assert "BASE_URL=${BASE_URL:-http://127.0.0.1:8000}" in lines
    calls = [line for line in lines if "curl " in line]
    assert calls
    call = 'curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/'
    assert all(call in line for line in calls)
    assert os.access(script, os.X_OK)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_writes_whole_answers_and_reads_files_that_are_there(script: Path) -> None:
    text = script.read_text()
    assert (KEEPS_WHAT_IS_WHOLE in text) == (script in WRITERS)
    assert set(re.findall(r"(?:-o|mv) (\S+)", text)) <= {'"$part"'}
    sends_a_file = re.search(r'@\$|< "\$', text) is not None
    assert sends_a_file == (script in READERS)


def test_the_scripts_that_lay_json_out_are_tested_without_jq() -> None:
    named = {script.stem for script in SCRIPTS if re.search("jq|python", script.read_text())}
    assert named == {"model", "models"}


@pytest.mark.parametrize("name", ["model", "models"])
@pytest.mark.parametrize(("tool", "is_laid_out"), [("jq", True), ("python3", True), ("", False)])
def test_json_is_laid_out_by_jq_or_python_where_there_is_one(
    run_script: RunScript,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    tool: str,
    is_laid_out: bool,
) -> None:
    programs = {program: shutil.which(program) for program in ("sh", "curl", "sed", "cat", "jq")}
    programs["python3"] = sys.executable
    expected = json.loads(run_script(name))
    for program in {"sh", "curl", "sed", "cat", tool} - {""}:
        target = programs[program]
        if target is None:
            pytest.skip(f"there is no {program}")
        (tmp_path / program).symlink_to(target)
    monkeypatch.setenv("PATH", str(tmp_path))
    printed = run_script(name)
    assert json.loads(printed) == expected
    assert (printed.count("\n") > 10) == is_laid_out


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
