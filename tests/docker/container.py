"""The image as it ships, built by buildah and run by runc: no daemon, no network of its own."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, Self

import httpx

from tests.balancers import free_ports
from tests.conftest import ROOT

PROGRAMS = ("buildah", "umoci", "runc", "mmdebstrap")
BASE = "localhost/vae-test-base"
IMAGE = "localhost/vae-test"
STAND_IN = """\
FROM scratch
ADD rootfs.tar /
RUN ln -sf python3 /usr/bin/python && rm -f /usr/lib/python3*/EXTERNALLY-MANAGED
"""
PACKAGES = "python3,python3-venv,python3-pip,ca-certificates,tini"
START_SECONDS, STOP_SECONDS = 60, 30


def missing() -> list[str]:
    """What is not here of what is needed to build and run an image."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


def copy_source(target: Path) -> Path:
    """What the images are made of, to be changed at will."""
    target.mkdir()
    for name in ("pyproject.toml", "constraints.txt", ".dockerignore"):
        shutil.copy(ROOT / name, target)
    for name in ("service", "training", "docker"):
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    return target


def build(source: Path) -> float:
    """Build the service's image as `make image` does; the seconds it took."""
    environment = {
        **os.environ,
        "DOCKER_HOST": "unix:///nowhere",
        "IMAGE": IMAGE,
        "PYTHON_IMAGE": os.environ.get("PYTHON_IMAGE") or _stand_in(source.parent),
        "BUILD_OPTIONS": f"--isolation=chroot {os.environ.get('BUILD_OPTIONS', '')}",
    }
    started = time.monotonic()
    run(source / "docker" / "build.sh", env=environment)
    return time.monotonic() - started


def unpack(folder: Path) -> Path:
    """The image as a bundle that runc runs, in `folder`."""
    layout = folder / "oci"
    run("buildah", "push", IMAGE, f"oci:{layout}:test")
    run("umoci", "unpack", "--image", f"{layout}:test", folder / "bundle")
    return folder / "bundle"


def image_config() -> dict[str, Any]:
    """What `docker inspect` would show under Config, and the layers' history."""
    content: dict[str, Any] = json.loads(run("buildah", "inspect", "--type", "image", IMAGE))["Docker"]
    return content


def layer_bytes(folder: Path) -> list[int]:
    """The size of each layer of the unpacked image, compressed, from the base up."""
    blobs = folder / "oci" / "blobs" / "sha256"
    (entry,) = json.loads((folder / "oci" / "index.json").read_text())["manifests"]
    manifest = json.loads((blobs / entry["digest"].partition(":")[2]).read_text())
    return [layer["size"] for layer in manifest["layers"]]


class Container:
    """The service in a container: read-only root, no capabilities, a user that is nobody; a context manager.

    Args:
        bundle: See unpack.

    Attributes:
        url: Where it answers.
        status: Of its first process, once it has ended.
    """

    def __init__(self, bundle: Path) -> None:
        self._bundle = bundle
        self._name = f"vae-test-{os.getpid()}"
        [self._port] = free_ports(1)
        self.url = f"http://127.0.0.1:{self._port}"
        self.status: int | None = None
        self._confine()

    def __enter__(self) -> Self:
        command = ["runc", "run", "--bundle", str(self._bundle), self._name]
        self._log = (self._bundle / "log").open("w+")
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log
        )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        run("runc", "kill", self._name, "TERM")
        try:
            self.status = self._process.wait(STOP_SECONDS)
        finally:
            subprocess.run(["runc", "delete", "--force", self._name], capture_output=True, check=False)
            self._log.close()

    def execute(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in it."""
        return subprocess.run(["runc", "exec", self._name, *command], capture_output=True, text=True)

    def log(self) -> str:
        """What it wrote."""
        return (self._bundle / "log").read_text()

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def _confine(self) -> None:
        """Change what umoci has written as `docker run --read-only --cap-drop ALL --tmpfs /tmp` would."""
        path = self._bundle / "config.json"
        config = json.loads(path.read_text())
        config["root"]["readonly"] = True
        config["process"].update(terminal=False, noNewPrivileges=True)
        config["process"]["capabilities"] = {
            kind: [] for kind in ("bounding", "effective", "inheritable", "permitted", "ambient")
        }
        config["process"]["env"] += [f"VAE_PORT={self._port}", "VAE_DRAIN_SECONDS=0"]
        config["linux"]["namespaces"] = [
            one for one in config["linux"]["namespaces"] if one["type"] != "network"
        ]
        options = ["nosuid", "nodev", "noexec", "mode=1777", "size=64m"]
        config["mounts"].append(
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": options}
        )
        path.write_text(json.dumps(config))


def run(*command: str | Path, env: dict[str, str] | None = None) -> str:
    """Run a program, whose output is the message where it fails."""
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def _stand_in(folder: Path) -> str:
    """An image such as python:3.11-slim, made of Debian's packages; it is kept."""
    if subprocess.run(["buildah", "inspect", "--type", "image", BASE], capture_output=True).returncode:
        rootfs = folder / "base" / "rootfs.tar"
        rootfs.parent.mkdir(exist_ok=True)
        run("mmdebstrap", "--variant=minbase", f"--include={PACKAGES}", "--mode=root", "bookworm", rootfs)
        (folder / "base" / "Dockerfile").write_text(STAND_IN)
        run("buildah", "bud", "--isolation=chroot", "--layers=false", "--tag", BASE, folder / "base")
    return BASE
