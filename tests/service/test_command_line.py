import sys
from pathlib import Path

import pytest

from service.command_line import python


@pytest.mark.parametrize(
    ("path", "expected"),
    [(".venv/bin", "python"), ("", ".venv/bin/python"), ("elsewhere", ".venv/bin/python")],
)
def test_the_interpreter_is_called_as_this_shell_finds_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, path: str, expected: str
) -> None:
    for folder in (".venv/bin", "elsewhere"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "python").touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv/bin/python"))
    monkeypatch.setenv("PATH", str(tmp_path / path) if path else "")
    monkeypatch.chdir(tmp_path)
    assert python() == expected
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert python() == ("python" if expected == "python" else str(tmp_path / ".venv/bin/python"))
