"""`inspect`, `adopt` and `openapi`: what is done with files, without a server."""

import argparse
import json
import re
import sys

from service import adoption, checkpoint
from service.adoption.methods import lacks
from service.app import create_app
from service.command_line import python
from service.commands.flags import settings_of, told_of
from service.description import describe

# As json.dumps writes a list of numbers over several lines.
NUMBERS = re.compile(r"\[\n *([^\[\]{}\"]+?)\n *\]")


def inspect(options: argparse.Namespace) -> int:
    """Print what is in a file, without running any of it, and fail where serve would refuse it."""
    allowed_operators = settings_of(options).allowed_operators
    described = describe(options.file, allowed_operators=allowed_operators)
    shown = {
        **(described.metadata.model_dump(mode="json") if described.metadata else {}),
        "sha256": described.sha256,
        "bytes": described.num_bytes,
        "weight_bytes": described.num_weight_bytes,
        "parameters": described.num_parameters,
        "methods": [method.text for method in described.methods.values()],
        "operators": {
            name: "allowed" if is_allowed else "refused" for name, is_allowed in described.operators.items()
        },
    }
    if described.metadata is None:
        shown["lacks"] = [checkpoint.METADATA_FILE, checkpoint.GOLDEN_FILE, *lacks(described.methods)]
    print(_readable(shown))
    if described.refusal is not None:
        raise described.refusal
    return 0


def _readable(values: object) -> str:
    """JSON over several lines, but a list of numbers, such as quantiles, on one."""
    text = json.dumps(values, indent=2)
    return NUMBERS.sub(lambda found: f"[{' '.join(found[1].split())}]", text)


def adopt(options: argparse.Namespace) -> int:
    """Make a checkpoint of a TorchScript VAE from elsewhere, and say what was found out of it."""
    is_replaced = options.to.exists()
    metadata = adoption.adopt(
        options.file,
        options.to,
        told=told_of(options),
        say=lambda line: print(line, flush=True),
        allowed_operators=settings_of(options).allowed_operators,
    )
    replaced = ", in the place of the file that was there" if is_replaced else ""
    print(f"{options.to} holds the model {metadata.name}{replaced}. Serve it:")
    print(f"  {python()} -m service serve --checkpoint {options.to}")
    return 0


def openapi(options: argparse.Namespace) -> int:
    """Write the OpenAPI document."""
    settings = settings_of(options)
    if sys.stderr.isatty():
        print("loading the checkpoint, whose shapes are part of the document ...", file=sys.stderr)
    text = json.dumps(create_app(settings).openapi(), indent=2) + "\n"
    if options.output is None:
        sys.stdout.write(text)
    else:
        options.output.write_text(text)
    return 0
