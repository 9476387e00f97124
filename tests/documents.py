"""The parts of README.md that are generated: its tables of settings, errors and metrics.

python -m tests.documents    writes them anew
"""

import re
import sys
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from service.api.errors import STATUSES
from service.metrics import BATCH_OPERATIONS, BUILD_LABELS, MODEL_LABELS, Metrics
from service.settings import Settings

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


class MissingMarkers(Exception):
    """The document has no place for a generated table."""


def settings_table() -> str:
    """One row a setting: its variable, its default and its meaning."""
    rows = [
        (
            f"`VAE_{name.upper()}`",
            f"`--{name.replace('_', '-')}`",
            _default(field.default),
            field.description or "",
        )
        for name, field in Settings.model_fields.items()
    ]
    return _table(("variable", "flag", "default", "meaning"), rows)


def errors_table() -> str:
    """One row a kind of error, by status."""
    rows = [
        (str(status), title, _first_sentence(kind.__doc__))
        for kind, (status, title) in sorted(STATUSES.items(), key=lambda item: item[1][0])
    ]
    return _table(("status", "error", "when"), rows)


def metrics_table() -> str:
    """One row a metric: its name, its kind, its labels and its meaning."""
    metrics = Metrics()
    # The metrics whose labels are not known before a model is loaded.
    labels = dict.fromkeys(MODEL_LABELS, "")
    metrics.model_served(labels, 0, dict.fromkeys(BATCH_OPERATIONS, int))
    metrics.built(dict.fromkeys(BUILD_LABELS, ""))
    metrics.device_memory_is("allocated", int)
    rows = []
    for family in text_string_to_metric_families(metrics.render().decode()):
        if family.name.endswith("_created"):
            continue
        names = sorted({label for sample in family.samples for label in sample.labels} - {"le"})
        name = f"{family.name}_total" if family.type == "counter" else family.name
        rows.append(
            (f"`{name}`", family.type, ", ".join(f"`{label}`" for label in names), family.documentation)
        )
    return _table(("metric", "kind", "labels", "meaning"), rows)


TABLES: Mapping[str, Callable[[], str]] = {
    "settings": settings_table,
    "errors": errors_table,
    "metrics": metrics_table,
}


def with_tables(text: str) -> str:
    """A document with each generated table written anew between its markers.

    Raises:
        MissingMarkers: Naming the table that has no place.
    """
    for name, table in TABLES.items():
        start, end = f"<!-- generated: {name} -->", f"<!-- end: {name} -->"
        place = re.compile(f"{re.escape(start)}\n.*?{re.escape(end)}", re.DOTALL)
        if len(place.findall(text)) != 1:
            raise MissingMarkers(f"there must be one {start} followed by one {end}")
        block = f"{start}\n{table()}{end}"
        text = place.sub(lambda _, block=block: block, text)
    return text


def main() -> int:
    """Write the tables into README.md."""
    try:
        README.write_text(with_tables(README.read_text()))
    except MissingMarkers as error:
        sys.stderr.write(f"error: {README.name}: {error}\n")
        return 1
    return 0


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def _default(value: object) -> str:
    if value in (None, ()):
        return ""
    if isinstance(value, Path):
        return f"`{value.relative_to(ROOT).as_posix()}`"
    return f"`{value.value if isinstance(value, StrEnum) else value}`"


def _first_sentence(text: str | None) -> str:
    """The first line of a docstring."""
    return (text or "").strip().splitlines()[0]


if __name__ == "__main__":
    sys.exit(main())
