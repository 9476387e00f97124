"""Structured logs: one JSON object a line for machines, or plain text for people."""

import datetime
import json
import logging
import sys
import warnings
from typing import Literal

LogFormat = Literal["auto", "json", "text"]

ENCODE = json.JSONEncoder(default=str).encode


def configure(log_format: LogFormat, level: str) -> None:
    """Send every log record to standard error in one format; auto is text on a terminal, else JSON."""
    handler = logging.StreamHandler(sys.stderr)
    is_text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    handler.setFormatter(TextFormatter() if is_text else JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("uvicorn").setLevel("WARNING")
    # No format shows where a record was made, or in which thread: not to find out halves the cost of a line.
    # See https://docs.python.org/3/howto/logging.html#optimization
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    # Pillow warns once for each damaged tag of an upload: whoever sends one would fill the log.
    warnings.filterwarnings("ignore", module="PIL")


def fields(record: logging.LogRecord) -> dict[str, object]:
    """What the caller gave as `extra={"fields": {...}}`."""
    return dict(getattr(record, "fields", {}))


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (RFC 3339), level, logger, message, and the caller's fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Render one record."""
        time = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        line: dict[str, object] = {
            "time": time.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **fields(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return ENCODE(line)


class TextFormatter(logging.Formatter):
    """Time, level, message and fields on a line for a person."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """Render one record."""
        extra = " ".join(f"{name}={_on_one_line(value)}" for name, value in fields(record).items())
        return f"{super().format(record)}  {extra}".rstrip()


def _on_one_line(value: object) -> str:
    """A caller's text must not be able to write a line of its own."""
    text = str(value)
    return text if text.isprintable() else repr(text)
