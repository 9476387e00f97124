"""The command line teaches: help with examples that parse, and completion by the shell itself."""

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from service.commands import texts
from service.commands.parser import build_parser

COMMANDS = ("serve", "inspect", "adopt", "openapi")
EXAMPLES = [
    line
    for text in (texts.EXAMPLES, *(getattr(texts, f"{name.upper()}_EXAMPLES") for name in COMMANDS))
    for line in text.splitlines()
    if "vae-service" in line and line.startswith("  ") and "COMMAND" not in line and "eval" not in line
]
SECONDS = 60


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_each_command_has_examples_of_it(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        build_parser().parse_args([command, "--help"])
    assert caught.value.code == 0
    examples = capsys.readouterr().out.partition("examples:")[2]
    assert examples.count(f"vae-service {command}") >= 2


def test_the_help_of_all_names_every_command_and_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        build_parser().parse_args(["--help"])
    text = capsys.readouterr().out
    assert all(f"    {command} " in text for command in COMMANDS)
    assert all(f" {status} " in text for status in (0, 2, 3, 130))


@pytest.mark.parametrize("line", EXAMPLES)
def test_every_example_is_a_command_that_parses(line: str) -> None:
    call = line.partition("vae-service ")[2].partition("  ")[0].partition(" | ")[0]
    options = build_parser().parse_args(shlex.split(call))
    assert options.command.__name__ == call.split()[0]


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_is_printed_for_a_shell(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        build_parser().parse_args(["--print-completion", shell])
    assert caught.value.code == 0
    script = capsys.readouterr().out
    assert all(command in script for command in COMMANDS)
    assert ("--max-images" in script) == (shell != "tcsh")  # which shtab tells of commands and files only


def completed(script: str, folder: Path, *words: str) -> set[str]:
    """What bash offers for the last word."""
    ask = f"""
    {script}
    COMP_WORDS=({shlex.join(["vae-service", *words])}) COMP_CWORD={len(words)}
    $(complete -p vae-service | sed 's/.* -F \\([^ ]*\\).*/\\1/') vae-service
    printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "-c", ask], cwd=folder, capture_output=True, text=True, check=False, timeout=SECONDS
    )
    assert done.stderr == ""
    return {line.strip() for line in done.stdout.splitlines()}


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_commands_flags_and_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        build_parser().parse_args(["--print-completion", "bash"])
    script = capsys.readouterr().out
    (tmp_path / "faces.pt").touch()
    assert completed(script, tmp_path, "in") == {"inspect"}
    assert completed(script, tmp_path, "serve", "--png") == {"--png-compression"}
    assert completed(script, tmp_path, "inspect", "fa") == {"faces.pt"}
    assert completed(script, tmp_path, "serve", "--checkpoint", "fa") == {"faces.pt"}
