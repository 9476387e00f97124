"""What a page is made of: sections of panels, each one picture with its words."""

import dataclasses
from typing import Literal

from matplotlib.figure import Figure
from PIL import Image


@dataclasses.dataclass(frozen=True)
class Panel:
    """One picture.

    Attributes:
        name: Of its PNG file, without the suffix.
        content: What is to be seen.
        alt: The same in words, for who cannot see it.
        caption: What to look at.
        columns: Images in a row of the picture; 0 of a chart.
        values: A word below each column, from left to right.
    """

    name: str
    content: Figure | Image.Image
    alt: str
    caption: str
    columns: int = 0
    values: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Section:
    """Panels on one subject.

    Attributes:
        name: The word in its address on the page.
        title: The heading.
        text: What is to be seen, and how it was made.
        panels: At least one, or the text says why there is none.
        layout: Three or two panels side by side where there is room, or one below the other.
    """

    name: str
    title: str
    text: str
    panels: tuple[Panel, ...]
    layout: Literal["thirds", "halves", "rows"]
