"""The tree of errors is the one that its docstring draws."""

import re

import pytest

from service import errors
from service.errors import BadImage, InvalidCheckpoint, InvalidValue, QueueFull, ServiceError


def drawn_parents() -> dict[str, str]:
    """Class to parent, read from the drawing: four columns a level."""
    ancestors: list[str] = []
    parents = {}
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"^([│├└─\s]*)([A-Z]\w+)", line)
        if found is None or (found[1] == "" and found[2] != "ServiceError"):
            continue
        level = len(found[1]) // 4
        ancestors[level:] = [found[2]]
        if level:
            parents[found[2]] = ancestors[level - 1]
    return parents


def real_parents(root: type[ServiceError] = ServiceError) -> dict[str, str]:
    parents = {}
    for child in root.__subclasses__():
        parents |= {child.__name__: root.__name__, **real_parents(child)}
    return parents


def test_the_docstring_draws_every_class_under_its_parent() -> None:
    assert drawn_parents() == real_parents()


def test_a_client_error_carries_what_an_answer_needs() -> None:
    error = InvalidValue("n must be 1", param="n", code="n-out-of-range")
    assert (str(error), error.message, error.param, error.code) == (
        "n must be 1",
        "n must be 1",
        "n",
        "n-out-of-range",
    )


def test_a_client_error_has_the_code_of_its_class_where_none_is_given() -> None:
    assert BadImage("damaged").code == "bad-image"
    assert QueueFull("full", retry_after_seconds=2.0).code == "queue-full"


def test_the_codes_of_classes_are_short_names_and_all_different() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and "code" in vars(kind)]
    codes = [kind.code for kind in kinds]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", code) for code in codes)


def test_an_invalid_checkpoint_names_its_field_first() -> None:
    with pytest.raises(InvalidCheckpoint, match=r"^sha256: wrong$"):
        raise InvalidCheckpoint("sha256", "wrong")
