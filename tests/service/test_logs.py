"""Log lines that machines parse and people read."""

import json
import logging
import sys

import pytest

from service.logs import JsonFormatter, TextFormatter


def record(message: str, *arguments: object, fields: dict[str, object] | None = None) -> logging.LogRecord:
    made = logging.LogRecord("service.access", logging.INFO, "file.py", 1, message, arguments, None)
    made.created = 1_767_323_045.678  # 2026-01-02 03:04:05.678 UTC
    if fields is not None:
        made.fields = fields
    return made


def test_a_line_is_one_json_object_with_the_callers_fields() -> None:
    line = JsonFormatter().format(record("%d images", 3, fields={"status": 200, "path": "/sample"}))
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2026-01-02T03:04:05.678+00:00",
        "level": "info",
        "logger": "service.access",
        "message": "3 images",
        "status": 200,
        "path": "/sample",
    }


def test_a_traceback_stays_on_its_line() -> None:
    failed = record("failed")
    try:
        raise ValueError("first line\nsecond line")
    except ValueError:
        failed.exc_info = sys.exc_info()
    line = JsonFormatter().format(failed)
    assert "\n" not in line
    assert "ValueError: first line\nsecond line" in json.loads(line)["traceback"]


def test_what_json_has_no_word_for_is_written_as_text() -> None:
    line = JsonFormatter().format(record("hello", fields={"kind": ValueError}))
    assert json.loads(line)["kind"] == "<class 'ValueError'>"


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()], ids=["json", "text"])
def test_a_request_cannot_write_a_line_of_its_own(formatter: logging.Formatter) -> None:
    line = formatter.format(record("request", fields={"path": "/x\n00:00:00 ERROR forged"}))
    assert "\n" not in line


def test_text_has_level_message_and_fields() -> None:
    line = TextFormatter().format(record("request", fields={"status": 200}))
    assert "INFO" in line
    assert "request" in line
    assert "status=200" in line


def test_text_without_fields_ends_with_the_message() -> None:
    assert TextFormatter().format(record("hello")).endswith("hello")
