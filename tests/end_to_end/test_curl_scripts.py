"""Every script in openapi/curl against a live server, as printed in the README."""

import base64
import json
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.live_server import LiveServer
from tests.pictures import file_of, noise, picture, pixels_of
from tests.scrape import samples

SCRIPTS = sorted((ROOT / "openapi" / "curl").glob("*.sh"))
SECONDS = 60
SIDE = 28
KEY = "the-key/of+the=tests"

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")

RunScript = Callable[..., str]


@pytest.fixture
def run_script(server: LiveServer, tmp_path: Path) -> RunScript:
    """Run a script in an empty folder; its standard output."""

    def run(name: str, *arguments: str, base_url: str = server.url, status: int = 0) -> str:
        done = subprocess.run(
            ["sh", str(ROOT / "openapi" / "curl" / f"{name}.sh"), *arguments],
            cwd=tmp_path,
            env={**os.environ, "BASE_URL": base_url},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == status, done.stderr + done.stdout
        assert bool(done.stderr) == bool(status)
        return done.stdout

    return run


@pytest.fixture
def upload(tmp_path: Path) -> Path:
    """A picture file of the size that the shipped checkpoint takes."""
    path = tmp_path / "photo.png"
    path.write_bytes(file_of(picture(noise(SIDE, SIDE, 1))))
    return path


def test_sample_prints_four_images(run_script: RunScript) -> None:
    body = json.loads(run_script("sample"))
    assert body["seed"] == 42
    assert len(body["data"]) == 4
    for item in body["data"]:
        assert pixels_of(base64.b64decode(item["b64_json"])).shape == (SIDE, SIDE, 1)


def test_sample_png_writes_a_sheet_of_four_by_four(run_script: RunScript, tmp_path: Path) -> None:
    run_script("sample_png")
    assert pixels_of((tmp_path / "samples.png").read_bytes()).shape == (4 * SIDE, 4 * SIDE, 1)


def test_sample_zip_writes_one_file_an_image_and_a_manifest(run_script: RunScript, tmp_path: Path) -> None:
    run_script("sample_zip")
    with zipfile.ZipFile(tmp_path / "samples.zip") as archive:
        assert len(archive.namelist()) == 17
        assert len(json.loads(archive.read("manifest.json"))["data"]) == 16


@pytest.mark.parametrize("name", ["encode", "encode_base64"])
def test_encode_prints_the_posterior_of_a_file(run_script: RunScript, upload: Path, name: str) -> None:
    body = json.loads(run_script(name, str(upload)))
    (item,) = body["data"]
    assert len(item["mu"]) == len(item["log_var"]) == body["latent_dim"]


def test_both_ways_to_send_a_file_give_the_same_numbers(run_script: RunScript, upload: Path) -> None:
    multipart, in_json = [
        json.loads(run_script(name, str(upload)))["data"] for name in ("encode", "encode_base64")
    ]
    assert multipart == in_json


@pytest.mark.parametrize("name", ["encode", "encode_base64", "reconstruct"])
def test_without_a_file_a_sample_is_sent(run_script: RunScript, tmp_path: Path, name: str) -> None:
    assert run_script(name)
    assert pixels_of((tmp_path / "sample.png").read_bytes()).shape == (SIDE, SIDE, 1)


def test_reconstruct_writes_a_picture_of_the_same_size(
    run_script: RunScript, upload: Path, tmp_path: Path
) -> None:
    run_script("reconstruct", str(upload))
    assert pixels_of((tmp_path / "reconstruction.png").read_bytes()).shape == (SIDE, SIDE, 1)


def test_decode_writes_the_picture_of_the_latent_that_it_is_given(
    run_script: RunScript, tmp_path: Path
) -> None:
    run_script("decode")
    middle = pixels_of((tmp_path / "decoded.png").read_bytes())
    latent_dim = json.loads(run_script("models"))["data"][0]["latent_dim"]
    run_script("decode", ",".join(["2.5"] * latent_dim))
    other = pixels_of((tmp_path / "decoded.png").read_bytes())
    assert middle.shape == other.shape == (SIDE, SIDE, 1)
    assert (middle != other).any()


def test_pictures_go_where_out_dir_says(
    run_script: RunScript, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    monkeypatch.setenv("OUT_DIR", str(folder))
    run_script("sample_png")
    assert [path.name for path in folder.iterdir()] == ["samples.png"]


def test_the_samples_of_the_shipped_checkpoint_have_contrast_and_differ(
    run_script: RunScript, tmp_path: Path
) -> None:
    run_script("sample_png")
    sheet = pixels_of((tmp_path / "samples.png").read_bytes()).astype(float)
    cells = sheet.reshape(4, SIDE, 4, SIDE).swapaxes(1, 2).reshape(16, -1)
    assert (cells.std(axis=1) > 10).all()
    assert len({cell.tobytes() for cell in cells}) == 16


def test_models_prints_what_is_served(run_script: RunScript) -> None:
    body = json.loads(run_script("models"))
    assert body["data"][0]["name"] == "fashion-mnist"
    assert body["limits"]["max_images"] == 64


def test_health_prints_two_lines(run_script: RunScript) -> None:
    assert [json.loads(line) for line in run_script("health").splitlines()] == [
        {"status": "ok"},
        {"status": "ready"},
    ]


def test_metrics_prints_what_prometheus_reads(run_script: RunScript) -> None:
    assert samples(run_script("metrics"))["vae_ready"] == 1


def test_an_error_is_printed_and_is_an_error_of_the_script(run_script: RunScript, tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no picture")
    assert json.loads(run_script("encode", str(text), status=22))["status"] == 400


def test_a_server_that_is_not_there_is_an_error_of_the_script(run_script: RunScript) -> None:
    run_script("health", base_url="http://127.0.0.1:9", status=7)


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


def test_every_script_is_run_above() -> None:
    text = Path(__file__).read_text()
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
