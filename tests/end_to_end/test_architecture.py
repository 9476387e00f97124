"""The import floors hold, and a planted import makes the check fail."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

LINT_IMPORTS = Path(sys.executable).parent / "lint-imports"
SECONDS = 120

pytestmark = pytest.mark.skipif(not LINT_IMPORTS.exists(), reason="import-linter is not installed")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the source that may be spoilt."""
    only_source = shutil.ignore_patterns("*.pt", "__pycache__")
    for package in ("service", "training"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=only_source)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    command = [str(LINT_IMPORTS), "--no-cache"]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=SECONDS, check=False)


def test_the_floors_hold(tree: Path) -> None:
    done = lint(tree)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("service/metrics.py", "import training", "The service never imports training"),
        ("service/engine/device.py", "import lightning", "The service never imports training"),
        ("service/vae/png.py", "import service.api.errors", "imports point down"),
        ("service/engine/jobs.py", "import fastapi", "Only the HTTP edge knows FastAPI"),
        ("training/losses.py", "import service.vae.images", "Training sees only the checkpoint format"),
    ],
)
def test_a_planted_import_is_found(tree: Path, module: str, line: str, contract: str) -> None:
    with (tree / module).open("a") as file:
        file.write(f"\n{line}\n")
    done = lint(tree)
    assert done.returncode != 0
    broken = [text for text in done.stdout.splitlines() if text.endswith("BROKEN")]
    assert any(contract in text for text in broken), done.stdout


def test_a_module_on_no_floor_is_found(tree: Path) -> None:
    (tree / "service" / "helpers.py").write_text("")
    assert lint(tree).returncode != 0
