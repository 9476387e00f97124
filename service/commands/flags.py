"""Flags: one for each setting, and one for each thing that may be said of a file from elsewhere."""

import argparse
import dataclasses
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import shtab

from service.adoption import Told
from service.metadata import Likelihood
from service.settings import Settings

METAVARS = {Path: "FILE", int: "N", float: "SECONDS"}


def settings_of(options: argparse.Namespace) -> Settings:
    """The settings: flags that were given, then the environment, then defaults."""
    given: dict[str, Any] = {
        name: getattr(options, name) for name in Settings.model_fields if name in options
    }
    return Settings(**given)


def told_of(options: argparse.Namespace) -> Told:
    """What was said of a file from elsewhere."""
    given: dict[str, Any] = {}
    for field in dataclasses.fields(Told):
        value = getattr(options, field.name)
        given[field.name] = tuple(value) if isinstance(value, list) else value
    return Told(**given)


def flag(name: str) -> str:
    """How a setting is called on the command line."""
    return f"--{name.replace('_', '-')}"


def completed(action: argparse.Action) -> None:
    """Have shells complete an argument with the names of files."""
    action.complete = shtab.FILE  # type: ignore[attr-defined]


def add_told(parser: argparse.ArgumentParser) -> None:
    """One flag for each thing that a person may say of a file from elsewhere."""
    add = parser.add_argument
    completed(add("file", type=Path, help="what torch.jit.script(vae).save(FILE) wrote"))
    completed(add("--to", type=Path, required=True, metavar="FILE", help="the checkpoint to write"))
    shape = "shape of its images; found out unless several fit, or it takes them as rows"
    add("--image-shape", type=int, nargs=3, metavar=("C", "H", "W"), help=shape)
    add("--latent-dim", type=int, metavar="D", help="size of its latents; found out")
    pixels = "what black and white are to it; found out where that is 0 1 or -1 1"
    add("--pixel-range", type=float, nargs=2, metavar=("BLACK", "WHITE"), help=pixels)
    crops = "how pictures were cropped for it: square, none, or a number of pixels (default square)"
    add("--crop", type=_crop, default="square", metavar="CROP", help=crops)
    add("--name", help="of the model (default the file's)")
    add("--likelihood", choices=typing.get_args(Likelihood), help="what it was trained with, for its ELBO")
    scale = "sigma of a Gaussian likelihood, s of a logistic one, black being 0 and white 1"
    add("--likelihood-scale", type=float, metavar="S", help=scale)


def _crop(text: str) -> str | int:
    return int(text) if text.isdigit() else text


def add_settings(parser: argparse.ArgumentParser, names: Iterable[str]) -> None:
    """One flag a setting; what is not given comes from the environment, then from the default."""
    group = parser.add_argument_group("settings, each also a variable")
    for name in names:
        field = Settings.model_fields[name]
        default = "" if field.default in (None, ()) else f" (default {field.default})"
        text = f"{field.description}{default}; also VAE_{name.upper()}".replace("%", "%%")
        kinds = {field.annotation, *typing.get_args(field.annotation)}
        metavar = next((word for kind, word in METAVARS.items() if kind in kinds), "X")
        action = group.add_argument(flag(name), default=argparse.SUPPRESS, metavar=metavar, help=text)
        if Path in kinds:
            completed(action)
