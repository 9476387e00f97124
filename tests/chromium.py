"""A real browser: Debian's Chromium, driven by Playwright without anything that Playwright would download."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--no-sandbox", "--disable-gpu")
MISSING = f"there is no browser: none of {', '.join(PROGRAMS)}"


def find_program() -> str | None:
    """The browser's program, None where there is none."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


@contextmanager
def running_browser(program: str) -> Iterator[Browser]:
    """Start a browser, and end it with all that belongs to it.

    Inside, Playwright's own event loop counts as running in this thread: nothing else may start one.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()
