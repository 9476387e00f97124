"""The scripts in openapi/curl, and how a person runs one."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.conftest import ROOT

SCRIPTS = sorted((ROOT / "openapi" / "curl").glob("*.sh"))
SECONDS = 60

# Run a script by its name, with its arguments; its standard output.
RunScript = Callable[..., str]


def run_script(name: str, *arguments: str, folder: Path, base_url: str, status: int = 0) -> str:
    """Run a script in a folder; its standard output."""
    done = subprocess.run(
        ["sh", str(ROOT / "openapi" / "curl" / f"{name}.sh"), *arguments],
        cwd=folder,
        env={**os.environ, "BASE_URL": base_url},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == status, done.stderr + done.stdout
    assert bool(done.stderr) == bool(status)
    return done.stdout
