"""Numbers, true and false in a query or a form are those that JSON would read; all else stays text."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.query import parsed
from service.vae.noise import MAX_SEED


@pytest.mark.parametrize(
    "text",
    ["0", "16", "-1", "1.5", "0.25", "1e3", "-2E-2", "5e-324", "1e308", str(MAX_SEED), "true", "false"],
)
def test_a_number_or_truth_value_is_what_json_makes_of_it(text: str) -> None:
    assert parsed(text) == json.loads(text)
    assert type(parsed(text)) is type(json.loads(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 1",
        "1 ",
        "+1",
        ".5",
        "1.",
        "0x10",
        "1_000",
        "NaN",
        "Infinity",
        "\u0661",
        "1" * 21,
        "1e309",
        "1e9999",
        "True",
        "null",
    ],
)
def test_all_else_is_text(text: str) -> None:
    assert parsed(text) == text


@given(text=st.text(max_size=30))
def test_no_text_breaks_it(text: str) -> None:
    assert isinstance(parsed(text), str | int | float)
