"""The playground in a real browser, against a live server with the shipped checkpoint."""

import base64
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Locator, expect
from torch import Tensor, nn

from service.metadata import Provenance
from tests import tiny_vae
from tests.chromium import MISSING, find_program, running_browser
from tests.end_to_end.playground import PATIENCE_SECONDS, Playground, grey_or_colour, tiles_of
from tests.live_server import LiveServer
from tests.pictures import file_of

SECONDS = 60
SIDE = 28
KEY = "the-key/of+the=tests"
DESKTOP = {"viewport": {"width": 1280, "height": 900}}
PHONE = {"viewport": {"width": 360, "height": 780}, "is_mobile": True, "has_touch": True}
LOOKS = {
    "light": {**DESKTOP, "color_scheme": "light"},
    "dark": {**DESKTOP, "color_scheme": "dark"},
    "phone": {**PHONE, "color_scheme": "light"},
    "dark phone": {**PHONE, "color_scheme": "dark"},
}
WCAG_AA = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

COUNT_REQUESTS = """() => {
    const fetch = window.fetch;
    let numUnderWay = 0;
    window.maxUnderWay = 0;
    window.fetch = async (...asked) => {
        window.maxUnderWay = Math.max(window.maxUnderWay, ++numUnderWay);
        try { return await fetch(...asked); } finally { numUnderWay -= 1; }
    };
}"""
RECORD_POSITIONS = """() => {
    const position = document.querySelector("#position");
    window.positions = [];
    const record = () => window.positions.push(position.valueAsNumber);
    new MutationObserver(record).observe(position, { attributes: true });
}"""

Open = Callable[..., Playground]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser that is ended before the tests of another module begin."""
    program = find_program()
    if program is None:
        pytest.skip(MISSING)
    expect.set_options(timeout=1000 * PATIENCE_SECONDS)
    with running_browser(program) as browser:
        yield browser


@pytest.fixture
def open_playground(browser: Browser, server: LiveServer) -> Iterator[Open]:
    """Open a playground; afterwards nothing may have been asked of another host, or have gone wrong."""
    contexts, opened = [], []

    def open_it(url: str = server.url, address: str = "#seed=4711", **options: object) -> Playground:
        context = browser.new_context(permissions=["clipboard-read", "clipboard-write"], **options)
        contexts.append(context)
        opened.append(Playground.open(context, url, address=address))
        return opened[-1]

    yield open_it
    for context in contexts:
        context.close()
    for playground in opened:
        assert playground.errors == []
        for url in playground.requests:
            assert url.startswith((f"{playground.url}/", "data:")), url


@pytest.fixture
def playground(open_playground: Open) -> Playground:
    """One that shows the samples of seed 4711."""
    playground = open_playground(**DESKTOP)
    playground.wait_for_samples()
    return playground


class ManyUnits(nn.Module):
    """20 latents, whose mean is the grey of an image of 8x8 pixels."""

    @torch.jit.export
    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Nothing of the image."""
        mu = torch.zeros(images.size(0), 20)
        return mu, mu.clone()

    @torch.jit.export
    def decode(self, z: Tensor) -> Tensor:
        """One grey."""
        grey = (z.float().mean(dim=1) * 64.0 + 128.0).round().clamp(0.0, 255.0)
        return grey.to(torch.uint8).view(-1, 1, 1, 1).repeat(1, 1, 8, 8)


@pytest.fixture(scope="module")
def several(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A service of models that differ in likelihood, prior, and how many latent units they have."""
    folder = tmp_path_factory.mktemp("models")
    tiny_vae.save(folder / "first.pt", name="first")
    tiny_vae.save(
        folder / "second.pt",
        module=tiny_vae.FittedVAE(),
        name="second",
        prior="fitted",
        unit_kl=(0.5, 3.0, 0.0, 2.0),
        likelihood_scale=None,
    )
    tiny_vae.save(
        folder / "third.pt",
        module=ManyUnits(),
        name="third",
        latent_dim=20,
        image_shape=(1, 8, 8),
        likelihood=None,
        likelihood_scale=None,
        provenance=Provenance(origin="adopted", source_sha256="ab" * 32, command="by hand"),
        quality={},
    )
    with LiveServer("--checkpoint", str(folder)) as live:
        yield live


@pytest.fixture(scope="module")
def photo() -> bytes:
    """A picture as a camera makes it: a JPEG, upright only by its EXIF, larger than the network's input."""
    image = Image.linear_gradient("L").resize((640, 480)).convert("RGB")
    ImageDraw.Draw(image).ellipse((200, 100, 460, 400), fill=(200, 90, 40))
    exif = Image.Exif()
    exif[0x0112] = 6
    return file_of(image, "JPEG", quality=90, exif=exif)


def run_in_shell(line: str, folder: Path, **environment: str) -> str:
    """Run a line as somebody would who pasted it; its standard output."""
    done = subprocess.run(
        ["sh", "-euc", line],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def z_of(line: str) -> list[list[float]]:
    """The latents in a curl line of /decode."""
    found = re.search(r"-d '(.+?)'", line)
    assert found is not None
    return json.loads(found[1])["z"]


def decoded(url: str, z: list[list[float]]) -> np.ndarray:
    """What the service decodes a latent to."""
    answer = httpx.post(f"{url}/decode", json={"z": z}, headers={"accept": "image/png"}, timeout=SECONDS)
    return grey_or_colour(answer.raise_for_status().content)


def readable(value: float) -> str:
    """Three digits that count, and a real minus sign."""
    text = f"{value:,.0f}" if value.is_integer() or abs(value) >= 100 else f"{value:#.3g}".rstrip(".")
    return text.replace("-", "\N{MINUS SIGN}")


def unit_of(slider: Locator) -> int:
    """The latent unit that a slider moves."""
    return int(str(slider.get_attribute("id")).removeprefix("unit-"))


def units_of(playground: Playground) -> list[int]:
    """The units of the sliders, in order."""
    return [unit_of(slider) for slider in playground.find("#sliders input").all()]


def test_it_shows_the_samples_that_its_address_names(open_playground: Open) -> None:
    playground = open_playground(address="#seed=18446744073709551615&n=5&temperature=0.5", **DESKTOP)
    playground.wait_for_samples()
    asked = {"n": 5, "seed": 2**64 - 1, "temperature": 0.5}
    answer = httpx.post(f"{playground.url}/sample", json=asked).json()
    expected = [grey_or_colour(base64.b64decode(item["b64_json"])) for item in answer["data"]]
    assert playground.find("#grid img").count() == 5
    for index, image in enumerate(expected):
        shown = playground.pixels(f"#grid button:nth-child({index + 1}) img")
        np.testing.assert_array_equal(shown, image)


def test_what_is_asked_for_is_kept_in_the_address(playground: Playground) -> None:
    playground.find("#n").fill("3")
    playground.find("#n").press("Enter")
    playground.page.wait_for_url("**/#*n=3*")
    playground.find("#new-seed").click()
    seed = playground.find("#seed").input_value()
    playground.page.wait_for_url(f"**/#*seed={seed}&*")
    playground.page.reload()
    playground.wait_for_samples()
    assert playground.find("#grid img").count() == 3
    assert playground.find("#seed").input_value() == seed


def test_an_address_that_changes_shows_other_samples(playground: Playground) -> None:
    playground.page.evaluate("location.hash = '#seed=1&n=2'")
    expect(playground.find("#grid img")).to_have_count(2)
    assert playground.find("#seed").input_value() == "1"


def test_temperature_is_followed_while_it_moves(playground: Playground) -> None:
    playground.find("#temperature").fill("0")
    expect(playground.find("#temperature-value")).to_have_text("0.00")
    playground.page.wait_for_url(re.compile("temperature=0(&|$)"))
    asked = {"n": 2, "seed": 4711, "temperature": 0}
    answer = httpx.post(f"{playground.url}/sample", json=asked).json()
    for index, item in enumerate(answer["data"]):
        expected = grey_or_colour(base64.b64decode(item["b64_json"]))
        playground.expect_pixels(f"#grid button:nth-child({index + 1}) img", expected)


def test_a_slider_that_is_moved_changes_the_picture_to_what_is_decoded(playground: Playground) -> None:
    before = playground.pixels("#grid img")
    playground.expect_pixels("#picture", before)
    slider = playground.find("#sliders input").first
    slider.press("End")
    playground.expect_other_pixels("#picture", before)
    expect(playground.find("#pace")).to_contain_text("ms from slider to picture")
    z = z_of(playground.copied("latent"))
    assert z[0][unit_of(slider)] == float(slider.input_value()) == float(str(slider.get_attribute("max")))
    playground.expect_pixels("#picture", decoded(playground.url, z))


def test_a_slider_that_is_dragged_never_has_two_requests_under_way_and_the_last_wins(
    playground: Playground,
) -> None:
    playground.page.evaluate(COUNT_REQUESTS)
    slider = playground.find("#sliders input").first
    box = slider.bounding_box()
    assert box is not None
    mouse = playground.page.mouse
    mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    mouse.down()
    for step in range(60):
        mouse.move(box["x"] + box["width"] * step / 60, box["y"] + box["height"] / 2)
    mouse.up()
    expect(playground.find("#latent-curl code")).to_contain_text(f"{float(slider.input_value()):g}")
    z = z_of(playground.copied("latent"))
    assert z[0][unit_of(slider)] == float(slider.input_value())
    playground.expect_pixels("#picture", decoded(playground.url, z))
    assert playground.page.evaluate("() => window.maxUnderWay") == 1


def test_reset_goes_back_to_the_image_and_random_to_another(playground: Playground) -> None:
    first = playground.pixels("#grid img")
    playground.expect_pixels("#picture", first)
    playground.find("#sliders input").first.press("Home")
    playground.expect_other_pixels("#picture", first)
    playground.find("#reset").click()
    playground.expect_pixels("#picture", first)
    playground.find("#random").click()
    other = playground.expect_other_pixels("#picture", first)
    playground.find("#sliders input").first.press("Home")
    playground.expect_other_pixels("#picture", other)
    playground.find("#reset").click()
    playground.expect_pixels("#picture", other)


def test_images_that_are_chosen_are_held_in_turn(playground: Playground) -> None:
    playground.find("#grid button:nth-child(7)").click()
    playground.find("#grid button:nth-child(9)").click()
    expect(playground.find("#grid button:nth-child(7)")).to_have_accessible_name("Image 7 of 16, held as A")
    expect(playground.find("#grid button:nth-child(9)")).to_have_accessible_name("Image 9 of 16, held as B")
    expect(playground.find("#strip img")).to_have_count(16)
    first, last = (playground.pixels(f"#grid button:nth-child({index}) img") for index in (7, 9))
    playground.expect_pixels("#strip img:first-child", first)
    playground.expect_pixels("#strip img:last-child", last)
    playground.expect_pixels("#picture", last)


def test_the_way_between_plays_there_and_back_until_it_is_paused(playground: Playground) -> None:
    frames = [playground.pixels(f"#strip img:nth-child({index})") for index in (1, 16)]
    np.testing.assert_array_equal(playground.pixels("#frame"), frames[0])
    playground.page.evaluate(RECORD_POSITIONS)
    playground.find("#play").click()
    playground.page.wait_for_function("() => window.positions.length >= 18")
    playground.find("#play").click()
    expect(playground.find("#play")).to_have_text("Play")
    positions = playground.page.evaluate("() => window.positions")
    assert positions[:18] == [*range(1, 16), 14, 13, 12]
    index = int(playground.find("#position").input_value())
    shown = playground.pixels(f"#strip img:nth-child({index + 1})")
    np.testing.assert_array_equal(playground.pixels("#frame"), shown)
    playground.find("#position").press("End")
    np.testing.assert_array_equal(playground.pixels("#frame"), frames[1])


def test_a_photo_that_is_dropped_is_shown_with_what_the_network_saw_and_lost(
    playground: Playground, photo: bytes
) -> None:
    playground.drop(photo, "holiday photo.jpg", "image/jpeg")
    expect(playground.find("#seen")).to_be_visible()
    original, reconstruction = playground.pixels("#original"), playground.pixels("#reconstruction")
    # By EXIF the top of the scene is at the left of the file: dark at the right once it is upright.
    assert original.shape == (SIDE, SIDE, 1)
    assert original[:, 0].mean() > original[:, -1].mean() + 50
    png = httpx.post(
        f"{playground.url}/reconstruct",
        content=photo,
        headers={"content-type": "image/jpeg", "accept": "image/png"},
    )
    np.testing.assert_array_equal(reconstruction, grey_or_colour(png.content))
    errors = np.abs(original.astype(int) - reconstruction)
    np.testing.assert_array_equal(playground.pixels("#difference"), np.minimum(255, 4 * errors))
    expect(playground.find("#difference-caption")).to_have_text("difference, 4 times as bright")
    mse = np.square(errors / 255).mean()
    expect(playground.find("#losses")).to_contain_text(readable(float(mse)))
    answer = httpx.post(f"{playground.url}/score", content=photo, headers={"content-type": "image/jpeg"})
    for name in ("anomaly", "percentile", "elbo"):
        expect(playground.find("#score")).to_contain_text(readable(answer.json()["data"][0][name]))
    assert playground.find("#mu rect").count() == playground.find("#log-var rect").count() > 1


@pytest.mark.parametrize("way", ["chosen", "pasted"])
def test_an_image_may_be_chosen_or_pasted_and_turned(playground: Playground, photo: bytes, way: str) -> None:
    if way == "chosen":
        playground.find("#file").set_input_files(
            {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": photo}
        )
    else:
        playground.page.evaluate(
            """text => {
                const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
                const clipboardData = new DataTransfer();
                clipboardData.items.add(new File([bytes], "image.jpg", { type: "image/jpeg" }));
                document.dispatchEvent(new ClipboardEvent("paste", { clipboardData }));
            }""",
            base64.b64encode(photo).decode(),
        )
    expect(playground.find("#seen")).to_be_visible()
    before = playground.pixels("#picture")
    playground.find("#turn-yours").click()
    assert not np.array_equal(before, playground.pixels("#reconstruction"))
    playground.expect_pixels("#picture", playground.pixels("#reconstruction"))
    playground.find("#hold-yours-a").click()
    playground.expect_pixels("#strip img:first-child", playground.pixels("#reconstruction"))


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_every_curl_line_gives_what_is_on_the_screen(
    playground: Playground, photo: bytes, tmp_path: Path
) -> None:
    playground.drop(photo, "it's a photo.jpg", "image/jpeg")
    expect(playground.find("#seen")).to_be_visible()
    (tmp_path / "it's a photo.jpg").write_bytes(photo)
    for section in ("samples", "latent", "between", "yours"):
        assert run_in_shell(playground.copied(section), tmp_path) == ""
    for name, selector in (("samples", "#grid"), ("between", "#strip")):
        tiles = tiles_of((tmp_path / f"{name}.png").read_bytes(), SIDE)
        assert len(tiles) == 16
        images = playground.find(f"{selector} img").all()
        for tile, image in zip(tiles, images, strict=True):
            shown = grey_or_colour(base64.b64decode(str(image.get_attribute("src")).partition(",")[2]))
            np.testing.assert_array_equal(tile, shown)
    for name, selector in (("decoded", "#picture"), ("reconstruction", "#reconstruction")):
        file = (tmp_path / f"{name}.png").read_bytes()
        np.testing.assert_array_equal(grey_or_colour(file), playground.pixels(selector))
    card = json.loads(run_in_shell(playground.copied("card"), tmp_path))
    assert card["name"] == playground.find("#name").text_content()


def test_the_card_shows_every_figure_that_was_measured(playground: Playground) -> None:
    (metadata,) = httpx.get(f"{playground.url}/models").json()["data"]
    playground.find("#others summary").click()
    shown = playground.find("#card .facts strong").all_text_contents()
    counts = {name: value for name, value in metadata["quality"].items() if name.startswith("num_")}
    assert len(shown) == len(metadata["quality"]) - len(counts)
    assert {readable(value) for name, value in metadata["quality"].items() if name not in counts} == set(
        shown
    )
    for count in counts.values():
        expect(playground.find("#measured-on")).to_contain_text(f"{count:,.0f}")
    expect(playground.find("#origin")).to_contain_text(metadata["provenance"]["dataset"])


def test_an_error_is_told_in_a_sentence_and_goes_when_it_is_mended(playground: Playground) -> None:
    alert = playground.find("[role=alert]")
    playground.find("#n").fill("1000")
    playground.find("#n").press("Enter")
    expect(alert).to_have_text("Invalid value: n must be between 1 and 64, got 1000.")
    playground.drop(b"no picture", "text.png", "image/png")
    expect(alert).to_contain_text("The body is not the image it claims to be: ")
    playground.page.keyboard.press("Escape")
    expect(alert).to_have_text("")
    playground.find("#seed").fill("-1")
    playground.find("#seed").press("Enter")
    expect(alert).to_contain_text("n must be between 1 and 64")
    playground.find("#n").fill("4")
    playground.find("#n").press("Enter")
    expect(alert).to_contain_text("seed must be between 0 and")
    playground.find("#new-seed").click()
    expect(alert).to_have_text("")
    expect(playground.find("#grid img")).to_have_count(4)
    # The browser notes each refusal by itself.
    assert all(re.search("status of 4(00|22)", error) for error in playground.errors)
    playground.errors.clear()


def test_a_service_that_has_gone_is_told_of(open_playground: Open, tiny_checkpoint: Path) -> None:
    with LiveServer("--checkpoint", str(tiny_checkpoint)) as live:
        playground = open_playground(live.url, **DESKTOP)
        playground.wait_for_samples()
    playground.find("#new-seed").click()
    expect(playground.find("[role=alert]")).to_contain_text("The service cannot be reached")
    assert all("ERR_CONNECTION_REFUSED" in error for error in playground.errors)
    playground.errors.clear()


def test_the_grid_is_used_from_the_keyboard(playground: Playground) -> None:
    tile = "#grid button:nth-child({})".format
    playground.find(tile(1)).focus()
    for key, index in [("ArrowRight", 2), ("ArrowDown", 6), ("ArrowLeft", 5), ("ArrowUp", 1), ("End", 16)]:
        playground.page.keyboard.press(key)
        expect(playground.find(tile(index))).to_be_focused()
    playground.page.keyboard.press("b")
    expect(playground.find(tile(16))).to_have_accessible_name("Image 16 of 16, held as B")
    playground.page.keyboard.press("Home")
    playground.page.keyboard.press("Enter")
    expect(playground.find(tile(1))).to_have_accessible_name("Image 1 of 16, held as A")
    playground.page.keyboard.press("Escape")
    expect(playground.find("#between-help")).to_contain_text("Nothing is held yet")
    expect(playground.find("#grid .slot")).to_have_count(0)
    seed = playground.find("#seed").input_value()
    playground.page.keyboard.press("n")
    expect(playground.find("#seed")).not_to_have_value(seed)
    playground.page.keyboard.press("Tab")
    expect(playground.find("#samples-curl code")).to_be_focused()


@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_nothing_against_wcag_aa_and_nothing_is_wider_than_the_window(
    open_playground: Open, photo: bytes, look: str
) -> None:
    playground = open_playground(**LOOKS[look])
    playground.wait_for_samples()
    playground.drop(photo, "photo.jpg", "image/jpeg")
    expect(playground.find("#seen")).to_be_visible()
    playground.find("#n").fill("0")
    playground.find("#n").press("Enter")
    expect(playground.find("#close-trouble")).to_be_visible()
    results = Axe().run(playground.page, options={"runOnly": WCAG_AA})
    assert results.violations_count == 0, results.generate_report()
    width = LOOKS[look]["viewport"]["width"]
    assert playground.page.evaluate("() => document.documentElement.scrollWidth") == width
    playground.errors.clear()


def test_a_key_is_asked_for_kept_for_the_tab_and_never_in_a_curl_line(
    open_playground: Open, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    with LiveServer("--checkpoint", str(tiny_checkpoint), "--api-keys", KEY) as live:
        playground = open_playground(live.url, **DESKTOP)
        field = playground.find("#key")
        expect(field).to_be_focused()
        field.fill("wrong")
        field.press("Enter")
        expect(playground.find("[role=alert]")).to_contain_text("this API key is not one of those")
        field.fill(KEY)
        field.press("Enter")
        playground.wait_for_samples()
        playground.page.reload()
        playground.wait_for_samples()
        expect(playground.find("#key-form")).to_be_hidden()
        line = playground.copied("samples")
        assert KEY not in playground.page.content()
        run_in_shell(line, tmp_path, API_KEY=KEY)
        assert (tmp_path / "samples.png").read_bytes().startswith(b"\x89PNG")
        playground.find("#forget-key").click()
        expect(field).to_be_visible()
        assert playground.page.evaluate("sessionStorage.length") == 0
        playground.page.close()
    assert all("status of 401" in error for error in playground.errors)
    playground.errors.clear()


def test_models_are_chosen_and_shown_by_what_they_have(open_playground: Open, several: LiveServer) -> None:
    playground = open_playground(several.url, **DESKTOP)
    playground.wait_for_samples()
    expect(playground.find("#name")).to_have_text("first")
    expect(playground.find("#prior-choice")).to_be_hidden()
    assert units_of(playground) == [0, 1, 2, 3]
    playground.find("#model").select_option("second")
    expect(playground.find("#name")).to_have_text("second")
    playground.wait_for_samples()
    assert units_of(playground) == [1, 3, 0, 2]
    playground.page.wait_for_url("**/#model=second&*prior=fitted")
    playground.page.reload()
    playground.wait_for_samples()
    expect(playground.find("#name")).to_have_text("second")
    for prior in ("fitted", "standard"):
        playground.find("#prior").select_option(prior)
        asked = {"n": 1, "seed": 4711, "prior": prior, "model": "second"}
        answer = httpx.post(f"{several.url}/sample", json=asked, headers={"accept": "image/png"})
        playground.expect_pixels("#grid img", grey_or_colour(answer.content))
    line = playground.copied("samples")
    assert "/sample?model=second" in line
    assert '"prior":"standard"' in line


def test_of_many_units_the_most_active_are_shown_and_the_others_where_asked_for(
    open_playground: Open, several: LiveServer
) -> None:
    playground = open_playground(several.url, "#model=third", **DESKTOP)
    playground.wait_for_samples()
    sliders, button = playground.find("#sliders input:visible"), playground.find("#more-units")
    expect(sliders).to_have_count(16)
    button.click()
    expect(sliders).to_have_count(20)
    expect(button).to_have_attribute("aria-expanded", "true")
    button.click()
    expect(sliders).to_have_count(16)


def test_the_card_of_a_model_from_elsewhere_says_what_is_not_known(
    open_playground: Open, several: LiveServer
) -> None:
    playground = open_playground(several.url, "#model=third", **DESKTOP)
    playground.wait_for_samples()
    expect(playground.find("#measured-on")).to_have_text("not measured yet")
    expect(playground.find("#others")).to_be_hidden()
    origin = str(playground.find("#origin").text_content())
    assert "Datanot known" in origin
    assert "Trainingfrom a TorchScript file, SHA-256 abababababab" in origin
    assert "Likelihoodnot known" in origin


def test_an_image_is_scored_where_the_model_can(
    open_playground: Open, several: LiveServer, photo: bytes
) -> None:
    playground = open_playground(several.url, **DESKTOP)
    playground.wait_for_samples()
    playground.drop(photo, "photo.jpg", "image/jpeg")
    expect(playground.find("#score")).to_be_visible()
    answer = httpx.post(f"{several.url}/score", content=photo, headers={"content-type": "image/jpeg"})
    expect(playground.find("#score")).to_contain_text(readable(answer.json()["data"][0]["elbo"]))
    expect(playground.find("#score")).not_to_contain_text("percentile")
    playground.find("#model").select_option("second")
    expect(playground.find("#score")).to_be_hidden()
    expect(playground.find("#losses")).to_be_visible()
