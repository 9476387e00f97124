"""The scripts in openapi/curl, and how a person runs one."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.conftest import ROOT

SCRIPTS = sorted((ROOT / "openapi" / "curl").glob("*.sh"))
SECONDS = 60

# Run a script by its name, with its arguments; its standard output, or its standard error.
RunScript = Callable[..., str]


def run_script(name: str, *arguments: str, folder: Path, base_url: str, status: int = 0) -> str:
    """Run a script in a folder; its standard output."""
    done = _run(name, *arguments, folder=folder, base_url=base_url)
    assert done.returncode == status, done.stderr + done.stdout
    assert bool(done.stderr) == bool(status)
    return done.stdout


def script_error(name: str, *arguments: str, folder: Path, base_url: str, status: int = 22) -> str:
    """Run a script that fails in a folder; its standard error."""
    done = _run(name, *arguments, folder=folder, base_url=base_url)
    assert done.returncode == status, done.stderr + done.stdout
    return done.stderr


def _run(name: str, *arguments: str, folder: Path, base_url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(ROOT / "openapi" / "curl" / f"{name}.sh"), *arguments],
        cwd=folder,
        env={**os.environ, "BASE_URL": base_url},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
