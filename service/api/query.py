"""Values that stand in the query of a request, or as text in a form: read as JSON would read them."""

import math
import re
from collections.abc import Mapping

from pydantic import BaseModel
from starlette.requests import Request

from service.api.validation import shown, validated
from service.errors import InvalidValue

# A number as JSON writes it, of no more digits than the largest seed has.
NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?")
FLAGS = {"true": True, "false": False}


def parsed(text: str) -> float | bool | str:
    """A number or a truth value where the text is one, else the text."""
    if text in FLAGS:
        return FLAGS[text]
    if not NUMBER.fullmatch(text):
        return text
    number = int(text) if text.lstrip("-").isdigit() else float(text)
    return number if math.isfinite(number) else text


def query_fields(request: Request) -> Mapping[str, float | bool | str]:
    """What stands in the query.

    Raises:
        InvalidValue: Something stands there twice.
    """
    found: dict[str, float | bool | str] = {}
    for name, text in request.query_params.multi_items() if request.scope["query_string"] else ():
        if name in found:
            raise InvalidValue(f"{shown(name)} is given twice", param=name[:64], code="given-twice")
        found[name] = parsed(text)
    return found


def with_query(request: Request, content: object, options: type[BaseModel]) -> object:
    """The fields of a body, and those of its options that it does not hold and the query does.

    Raises:
        InvalidValue: An option in the query is wrong, needed or not.
    """
    found = {name: value for name, value in query_fields(request).items() if name in options.model_fields}
    if not isinstance(content, Mapping) or not found:
        return content
    validated(options, found)
    return {**found, **content}
