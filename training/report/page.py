"""The sections of a report as one HTML file that needs nothing else, and as PNG files."""

import base64
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from service.whole_file import write_whole
from training.report.figures import KeyFigure
from training.report.pictures import webp_bytes
from training.report.section import Panel, Section
from training.report.svg import inline_svg, save_png

HERE = Path(__file__).parent


@dataclasses.dataclass(frozen=True)
class Page:
    """A whole report.

    Attributes:
        title: The name of the checkpoint.
        facts: What it is and where it comes from, heading and text.
        command: What repeats the run.
        figures: The measured ones.
        measured_on: Which images they are of.
        sections: In order.
        footer: How the page was made.
    """

    title: str
    facts: Sequence[tuple[str, str]]
    command: str
    figures: Sequence[KeyFigure]
    measured_on: str
    sections: Sequence[Section]
    footer: str

    def html(self) -> str:
        """The file: style and pictures inside, no script, nothing fetched from anywhere."""
        environment = Environment(
            loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
            lstrip_blocks=True,
        )  # fmt: skip
        environment.filters["drawn"] = _drawn
        style = Markup((HERE / "page.css").read_text())
        return environment.get_template("page.html").render(page=self, style=style)

    def write(self, html: Path, *, pictures: Path) -> None:
        """Write the HTML file, whole or not at all, and each panel as a PNG file of its name in a folder."""
        pictures.mkdir(parents=True, exist_ok=True)
        for panel in (panel for section in self.sections for panel in section.panels):
            file = pictures / f"{panel.name}.png"
            if isinstance(panel.content, Figure):
                save_png(panel.content, file)
            else:
                panel.content.save(file)
        write_whole(html, self.html().encode())


def _drawn(panel: Panel) -> Markup:
    """The panel's picture as an element of HTML."""
    if isinstance(panel.content, Figure):
        svg = Markup(inline_svg(panel.content, name=panel.name))
        return Markup('<div class="chart" role="img" aria-label="{}">{}</div>').format(panel.alt, svg)
    data = base64.b64encode(webp_bytes(panel.content)).decode()
    width, height = panel.content.size
    return Markup('<img src="data:image/webp;base64,{}" width="{}" height="{}" alt="{}">').format(
        data, width, height, panel.alt
    )
