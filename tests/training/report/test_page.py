"""The page in a real browser: it opens from disk, whole, on any screen, for everybody."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.chromium import MISSING, find_program, running_browser

PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = find_program()
    if program is None:
        pytest.skip(MISSING)
    with running_browser(program) as running:
        yield running


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, browser: Browser, reported_run: Path) -> Iterator[Page]:
    context = browser.new_context(color_scheme=request.param, viewport=DESKTOP)
    yield context.new_page()
    context.close()


def opened(page: Page, reported_run: Path) -> Page:
    page.goto((reported_run / "report.html").as_uri())
    return page


def test_it_opens_without_a_complaint_and_asks_nobody_for_anything(page: Page, reported_run: Path) -> None:
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    opened(page, reported_run)
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [(reported_run / "report.html").as_uri()]


def test_every_picture_is_loaded_and_drawn(page: Page, reported_run: Path) -> None:
    opened(page, reported_run)
    pictures = page.locator("figure img")
    assert pictures.count() > 10
    for picture in pictures.all():
        assert picture.evaluate("image => image.complete && image.naturalWidth > 0")
        assert picture.get_attribute("alt")
    charts = page.locator("figure svg")
    assert charts.count() == 8
    for chart in charts.all():
        assert chart.evaluate("svg => svg.getBoundingClientRect().height > 100")


def test_charts_take_the_colours_of_the_page(page: Page, reported_run: Path) -> None:
    opened(page, reported_run)
    title = page.locator("#training svg text", has_text="ELBO").first
    ink = page.evaluate("getComputedStyle(document.body).color")
    assert title.evaluate("text => getComputedStyle(text).fill") == ink


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE])
def test_nothing_is_wider_than_the_screen(page: Page, reported_run: Path, viewport: dict[str, int]) -> None:
    page.set_viewport_size(viewport)
    opened(page, reported_run)
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]


def test_axe_finds_nothing_against_wcag_aa(page: Page, reported_run: Path) -> None:
    opened(page, reported_run)
    options = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}}
    results = Axe().run(page, options=options)
    assert results.violations_count == 0, results.generate_report()
