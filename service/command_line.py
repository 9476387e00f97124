"""What the command lines of the service and of training have in common."""

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any, NoReturn

EXIT_USAGE = 2


class Parser(argparse.ArgumentParser):
    """Says what is wrong with a call in one line."""

    def error(self, message: str) -> NoReturn:
        """End with the message and where to read on."""
        self.exit(EXIT_USAGE, f"error: {message}; `{self.prog} --help` has examples\n")


def help_of(line: str, examples: str) -> dict[str, Any]:
    """Arguments of a command's parser: its line in the list of commands, and its help with examples."""
    return {
        "help": line,
        "description": line[0].upper() + line[1:] + ".",
        "epilog": examples,
        "formatter_class": argparse.RawDescriptionHelpFormatter,
    }


def python() -> str:
    """The interpreter that runs, as a shell in this folder finds it: for commands that are to be typed."""
    running = Path(sys.executable)
    if shutil.which("python") == str(running):
        return "python"
    return str(running.relative_to(Path.cwd()) if running.is_relative_to(Path.cwd()) else running)
