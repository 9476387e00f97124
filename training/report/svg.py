"""A matplotlib figure as SVG that takes the page's colours and font, and as a PNG file."""

import io
import re
from collections.abc import Mapping
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from training.report.charts import BLUE, CARD, INK, LINE, ORANGE, SOFT

PAGE_COLOURS: Mapping[str, str] = {
    INK: "var(--ink)",
    SOFT: "var(--soft)",
    LINE: "var(--line)",
    CARD: "var(--card)",
    BLUE: "var(--blue)",
    ORANGE: "var(--orange)",
}
NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
PNG_DOTS_AN_INCH = 200


def inline_svg(figure: Figure, *, name: str) -> str:
    """An <svg> element to be put into HTML; its ids are hashed with its name, and so are no other's."""
    text = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(text, format="svg", metadata=NO_METADATA)
    document = text.getvalue()
    view_box = re.search(r'viewBox="[^"]*"', document)
    assert view_box is not None
    _, _, content = document[document.index("<svg") :].partition(">")
    content = re.sub(r"<metadata>.*?</metadata>", "", content, flags=re.DOTALL)
    referenced = set(re.findall(r"#([\w.-]+)", content))
    content = re.sub(r' id="([^"]*)"', lambda id_: id_[0] if id_[1] in referenced else "", content)
    for colour, variable in PAGE_COLOURS.items():
        content = content.replace(colour, variable)
    return f"<svg {view_box[0]}>{content}"


def save_png(figure: Figure, path: Path) -> None:
    """Write the figure on white."""
    figure.savefig(path, dpi=PNG_DOTS_AN_INCH, facecolor="white")
