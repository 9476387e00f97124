"""The playground in a browser, as tests use it: pictures as arrays, and a record of what went wrong."""

import base64
import dataclasses
import io
import time
from collections.abc import Callable
from typing import Self

import numpy as np
from PIL import Image
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.pictures import pixels_of

# A PNG file of what a canvas or an image shows now.
FILE_OF = """element => {
    const canvas = document.createElement("canvas");
    canvas.width = element.naturalWidth || element.width;
    canvas.height = element.naturalHeight || element.height;
    canvas.getContext("2d").drawImage(element, 0, 0);
    return canvas.toDataURL().split(",")[1];
}"""
PATIENCE_SECONDS = 30
DROP = """([text, name, type]) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const transfer = new DataTransfer();
    transfer.items.add(new File([bytes], name, { type }));
    return transfer;
}"""


@dataclasses.dataclass
class Playground:
    """An open playground.

    Attributes:
        page: Playwright's.
        url: Of the service.
        errors: What the browser's console complained about, and exceptions of the page.
        requests: Everything that was asked for, in order.
    """

    page: Page
    url: str
    errors: list[str] = dataclasses.field(default_factory=list)
    requests: list[str] = dataclasses.field(default_factory=list)

    @classmethod
    def open(cls, context: BrowserContext, url: str, *, address: str = "") -> Self:
        """Open it, and listen before the first request."""
        playground = cls(context.new_page(), url)
        page = playground.page
        page.on("pageerror", lambda error: playground.errors.append(str(error)))
        page.on("console", lambda said: said.type == "error" and playground.errors.append(said.text))
        page.on("request", lambda request: playground.requests.append(request.url))
        page.goto(f"{url}/{address}")
        return playground

    def find(self, selector: str) -> Locator:
        """Elements."""
        return self.page.locator(selector)

    def wait_for_samples(self) -> None:
        """Until everything that it shows by itself is there."""
        expect(self.find("#strip img").first).to_be_visible()

    def pixels(self, selector: str) -> np.ndarray:
        """What an image or canvas shows: uint8 (H, W, 1) where it is grey, else (H, W, 3)."""
        return grey_or_colour(base64.b64decode(self.find(selector).first.evaluate(FILE_OF)))

    def pixels_when(self, selector: str, is_so: Callable[[np.ndarray], bool]) -> np.ndarray:
        """What an image or canvas shows, as soon as something is so of it, or when patience ends."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not is_so(shown := self.pixels(selector)) and time.monotonic() < deadline:
            self.page.evaluate("() => new Promise(requestAnimationFrame)")
        return shown

    def expect_pixels(self, selector: str, expected: np.ndarray) -> None:
        """Wait until an image or canvas shows what it should."""
        shown = self.pixels_when(selector, lambda shown: np.array_equal(shown, expected))
        np.testing.assert_array_equal(shown, expected)

    def expect_other_pixels(self, selector: str, before: np.ndarray) -> np.ndarray:
        """Wait until a canvas shows something else; what it shows then."""
        shown = self.pixels_when(selector, lambda shown: not np.array_equal(shown, before))
        assert not np.array_equal(shown, before)
        return shown

    def drop(self, file: bytes, name: str, media_type: str) -> None:
        """Drop a file on the page."""
        content = base64.b64encode(file).decode()
        transfer = self.page.evaluate_handle(DROP, [content, name, media_type])
        self.page.dispatch_event("#drop", "drop", {"dataTransfer": transfer})

    def copied(self, section: str) -> str:
        """The curl line of a section, by way of its button and the clipboard."""
        button = self.find(f"#{section}-curl button")
        button.click()
        expect(button).to_have_text("Copied")
        return str(self.page.evaluate("navigator.clipboard.readText()"))


def grey_or_colour(file: bytes) -> np.ndarray:
    """The pixels of a file: uint8 (H, W, 1) where its channels are alike, else (H, W, 3)."""
    pixels = np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))
    return pixels[..., :1] if (pixels == pixels[..., :1]).all() else pixels


def tiles_of(sheet: bytes, side: int) -> list[np.ndarray]:
    """The images of a contact sheet, row by row."""
    pixels = pixels_of(sheet)
    rows, columns = pixels.shape[0] // side, pixels.shape[1] // side
    return [
        pixels[row * side : (row + 1) * side, column * side : (column + 1) * side]
        for row in range(rows)
        for column in range(columns)
    ]
