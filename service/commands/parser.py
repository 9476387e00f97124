"""The command line: commands, their flags, their help, and completion by a shell."""

import argparse
from pathlib import Path

import shtab

from service.command_line import Parser, help_of
from service.commands import texts
from service.commands.files import adopt, inspect, openapi
from service.commands.flags import add_settings, add_told, completed
from service.commands.serving import serve
from service.settings import Settings


def build_parser() -> Parser:
    """The parser of all commands, which leaves the chosen one in `command`."""
    parser = Parser(
        prog="vae-service",
        description=texts.DESCRIPTION,
        epilog=texts.EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    shtab.add_argument_to(parser, "--print-completion", help="print what makes a shell complete; see below")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    add = commands.add_parser
    _add_serve(add("serve", **help_of("serve checkpoints over HTTP", texts.SERVE_EXAMPLES)))
    line = "show what is in a checkpoint, without running any of it"
    _add_inspect(add("inspect", **help_of(line, texts.INSPECT_EXAMPLES)))
    line = "make a checkpoint of a TorchScript VAE from elsewhere"
    _add_adopt(add("adopt", **help_of(line, texts.ADOPT_EXAMPLES)))
    _add_openapi(add("openapi", **help_of("write the OpenAPI document", texts.OPENAPI_EXAMPLES)))
    for command in commands.choices.values():
        command.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _add_serve(parser: Parser) -> None:
    parser.usage = "%(prog)s [--checkpoint FILE] [--port N] [--SETTING X ...]"
    add_settings(parser, Settings.model_fields)
    parser.set_defaults(command=serve)


def _add_inspect(parser: Parser) -> None:
    completed(parser.add_argument("file", type=Path, help="a checkpoint, or another TorchScript file"))
    add_settings(parser, ["allowed_operators"])
    parser.set_defaults(command=inspect)


def _add_adopt(parser: Parser) -> None:
    add_told(parser)
    add_settings(parser, ["allowed_operators"])
    parser.set_defaults(command=adopt)


def _add_openapi(parser: Parser) -> None:
    parser.usage = "%(prog)s [--output FILE] [--SETTING X ...]"
    output = "file to write; standard output where absent"
    completed(parser.add_argument("--output", type=Path, metavar="FILE", help=output))
    add_settings(parser, Settings.model_fields)
    parser.set_defaults(command=openapi)
