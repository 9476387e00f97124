"""Runs a command; see service/commands.

python -m service serve --checkpoint runs/sprites/model.pt --port 8001
python -m service inspect runs/sprites/model.pt
python -m service adopt vae.pt --to model.pt
python -m service openapi --output openapi/openapi.json
"""

import re
import sys

from pydantic import ValidationError

from service.commands.flags import flag
from service.commands.parser import build_parser
from service.commands.serving import EXIT_CONFIGURATION
from service.errors import CannotListen, DeviceNotFound, InvalidCheckpoint, ModelNotFound, ServiceError

EXIT_INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run a command; every expected failure is one line on standard error, and --debug shows more."""
    options = build_parser().parse_args(arguments)
    try:
        result: int = options.command(options)
    except (ValidationError, ServiceError, OSError) as error:
        if options.debug:
            raise
        print(f"error: {_said(error)}", file=sys.stderr)
        return EXIT_CONFIGURATION
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return EXIT_INTERRUPTED
    return result


def _said(error: Exception) -> str:
    """What went wrong and what would help, in one line."""
    match error:
        case ValidationError():
            first = error.errors(include_url=False)[0]
            name = str(first["loc"][0])
            setting = f"setting {name} (VAE_{name.upper()} or {flag(name)})"
            return f"{setting} {_plain(first['msg'])}, got {first['input']!r}{_hint(first['input'])}"
        case ModelNotFound():
            return f"setting default_model (VAE_DEFAULT_MODEL or {flag('default_model')}): {error}"
        case InvalidCheckpoint(field=field, problem=problem, path=path):
            what = "the checkpoint" if path is None else f"the checkpoint {path}"
            return f"{what} cannot be used: {problem if field == 'file' else error}"
        case DeviceNotFound():
            return f"{error}; --device auto takes what there is"
        case CannotListen():
            return f"{error}; choose another with --port or --host"
        case OSError(filename=str() | bytes() as name):
            return f"{name!s}: {error.strerror}"
    return str(error)


def _plain(problem: str) -> str:
    """What pydantic says of a value, as the settings' own checks say it."""
    plain = problem.partition(", unable to parse")[0].removeprefix("Value error, ")
    plain = plain.replace("a valid integer", "a whole number").replace("a valid ", "a ")
    return re.sub(r"^(Input|String) should ", "must ", plain)


def _hint(value: object) -> str:
    """Where a value comes from that nobody here has set."""
    if not str(value).startswith("tcp://"):
        return ""
    return "; Kubernetes sets it for a Service named vae: give the pod enableServiceLinks: false"


if __name__ == "__main__":
    sys.exit(main())
