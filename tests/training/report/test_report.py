import html
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from service.checkpoint import load
from tests import tiny_vae
from training.commands import main
from training.config import Config, build_config
from training.data import load_splits
from training.errors import ConfigError, DataError, TrainingError
from training.report import write_report
from training.report.figures import MEANINGS
from training.report.network import Network, Observations
from training.report.path_sections import traversals

RUN_PICTURES = {
    *(f"training-{name}" for name in ("elbo", "distortion", "rate", "mse", "learning-rate")),
    *("reconstructions-1", "samples-fitted", "samples-standard"),
    *("manifold", "latent-plane", "latent-units", "traversal-0", "traversal-1", "traversal-2"),
    *(f"interpolation-{number}-{path}" for number in (1, 2, 3) for path in ("linear", "spherical")),
    *("errors", "errors-best", "errors-worst"),
}


def write_pictures(folder: Path, num_pictures: int, *, first: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(first, first + num_pictures):
        Image.new("RGB", (10, 10), (8 * index, 100, 50)).save(folder / f"{index:03d}.png")


def page_of(html: Path) -> str:
    """The text of a page without its pictures."""
    return re.sub(r"base64,[^\"]*", "", html.read_text())


def provenance(**changes: object) -> dict[str, object]:
    return {**tiny_vae.metadata().provenance.model_dump(), **changes}


def test_every_picture_of_the_page_is_a_png_file_too(reported_run: Path) -> None:
    assert {path.stem for path in (reported_run / "report").iterdir()} == RUN_PICTURES
    page = page_of(reported_run / "report.html")
    assert page.count("<figure") == len(RUN_PICTURES)


@pytest.mark.parametrize(
    ("name", "width", "height"),
    [
        # Images of 16 pixels are enlarged five times; two pixels lie between and around them.
        ("reconstructions-1", 5 * (8 * 18 + 2), 5 * (4 * 18 + 2)),  # 13 images in two rows, and as many below
        ("samples-fitted", 5 * (8 * 18 + 2), 5 * (6 * 18 + 2)),
        ("traversal-1", 5 * (7 * 18 + 2), 5 * (18 + 2)),
        ("interpolation-1-linear", 5 * (11 * 18 + 2), 5 * (18 + 2)),
        ("errors-worst", 5 * (8 * 18 + 2), 5 * (2 * 18 + 2)),
        ("manifold", 5 * 20 * 16, 5 * 20 * 16),
        ("training-elbo", 720, 500),
    ],
)
def test_png_files_have_the_size_of_what_they_show(
    reported_run: Path, name: str, width: int, height: int
) -> None:
    with Image.open(reported_run / "report" / f"{name}.png") as picture:
        assert picture.size == (width, height)


def test_originals_are_the_validation_images_of_the_run(reported_run: Path, tiny_config: Config) -> None:
    validation = load_splits(tiny_config).validation
    pixels = np.asarray(Image.open(reported_run / "report/reconstructions-1.png"))[2::5, 2::5, :3]
    for column in range(8):
        left = 2 + 18 * column
        np.testing.assert_array_equal(pixels[2:18, left : left + 16], validation[column].permute(1, 2, 0))


def test_samples_of_the_standard_prior_are_decoded_noise_of_the_seed(
    reported_run: Path, tiny_config: Config
) -> None:
    noise = torch.randn(48, 2, generator=torch.Generator().manual_seed(tiny_config.seed))
    expected = Network(load(reported_run / "model.pt")).decode(noise)
    pixels = np.asarray(Image.open(reported_run / "report/samples-standard.png"))[2::5, 2::5, :3]
    np.testing.assert_array_equal(pixels[2:18, 20:36], expected[1].permute(1, 2, 0))
    np.testing.assert_array_equal(pixels[20:36, 2:18], expected[8].permute(1, 2, 0))


def test_the_page_fetches_nothing_and_is_small(reported_run: Path) -> None:
    html = reported_run / "report.html"
    assert html.stat().st_size < 5e6
    page = page_of(html)
    addresses = re.findall(r"(?:src|href|url)\s*[=(]\s*[\"']?([^\"')>\s]*)", page)
    assert addresses
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert "<script" not in page
    assert "default-src 'none'; img-src data:" in page


def test_the_page_says_what_was_trained_and_how(reported_run: Path) -> None:
    page = page_of(reported_run / "report.html")
    metadata = load(reported_run / "model.pt").metadata
    for text in ("sprites", "64 training images", "2 epochs, 8 steps, in ", metadata.provenance.commit[:12]):
        assert text in page
    assert metadata.provenance.command in html.unescape(page)


def test_every_figure_of_an_export_has_a_meaning(reported_run: Path) -> None:
    assert set(load(reported_run / "model.pt").metadata.quality) <= set(MEANINGS)


def test_every_id_on_the_page_is_there_once_and_every_address_leads_to_one(reported_run: Path) -> None:
    page = page_of(reported_run / "report.html")
    ids = re.findall(r"\sid=\"([^\"]*)\"", page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"href=\"#([^\"]*)\"", page)) <= set(ids)


def test_each_row_of_the_traversals_changes_its_unit_alone_by_three_deviations() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.zeros(30, 1, 1, 1, dtype=torch.uint8)
    mu = torch.randn(30, 3, generator=generator) * 2 + 1
    observations = Observations(images, mu, torch.full((30, 3), -50.0), images)
    (row,) = traversals(observations, units=[2], start=4)
    assert (row[:, :2] == mu[4, :2]).all()
    mean, deviation = mu[:, 2].mean(), mu[:, 2].std(correction=0)
    torch.testing.assert_close(row[:, 2], torch.stack([mean + step * deviation for step in range(-3, 4)]))


def test_an_evaluation_is_shown(reported_run: Path, tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes((reported_run / "model.pt").read_bytes())
    results = {"figures": {"psnr": 12.3456}, "protocol": {"split": "test", "num_images": 77}, "seconds": 1}
    (tmp_path / "model.evaluation.json").write_text(json.dumps(results))
    page = page_of(write_report(tmp_path / "model.pt"))
    assert "PSNR" in page
    assert "12.35" in page
    assert "77 images of the test split" in page


def test_the_command_says_where_the_page_is(
    reported_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(reported_run), "--output", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert f"report: {tmp_path / 'report.html'} (0." in printed
    assert f"PNG files: {tmp_path / 'report'}" in printed


def test_a_checkpoint_alone_is_reported_on_without_curves(tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures/cats", 12)
    write_pictures(tmp_path / "pictures/dogs", 12, first=12)
    checkpoint = tiny_vae.save(tmp_path / "tiny.pt")
    html = write_report(checkpoint, data=tmp_path / "pictures")
    assert html == tmp_path / "tiny-report/report.html"
    page = page_of(html)
    assert "There are no curves" in page
    assert "coloured by cats, dogs" in page
    assert "this checkpoint has no fitted prior" in page
    assert not (html.parent / "report/manifold.png").exists()


def test_what_is_not_known_of_a_checkpoint_is_left_out(tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", 20)
    unknown = {"origin": "adopted", "command": "vae-service adopt other.pt"}
    checkpoint = tiny_vae.save(tmp_path / "tiny.pt", provenance=unknown, likelihood=None, quality={})
    page = page_of(write_report(checkpoint, data=tmp_path / "pictures"))
    headings = re.findall(r"<dt>(.*?)</dt>", page)
    assert headings == ["Images", "Network", "Exported", "File"]
    assert "vae-service adopt other.pt" in page
    assert "Nothing has been measured yet" in page


def test_one_validation_image_is_enough(tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", 3)
    html = write_report(
        tiny_vae.save(tmp_path / "tiny.pt"), data=tmp_path / "pictures", output=tmp_path / "new" / "folder"
    )
    assert html == tmp_path / "new/folder/report.html"
    assert "it takes two validation images" in page_of(html)


def test_an_autoencoder_has_no_kl(tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", 20)
    config = {"loss": {"objective": "autoencoder"}}
    checkpoint = tiny_vae.save(tmp_path / "tiny.pt", provenance=provenance(config=config))
    page = page_of(write_report(checkpoint, data=tmp_path / "pictures"))
    assert "An autoencoder&#39;s units have no KL divergence" in page
    assert "nats" not in page.partition('id="latent-space"')[2]


def test_text_of_a_checkpoint_is_no_markup(tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", 20)
    hostile = "<script>alert(1)</script>"
    checkpoint = tiny_vae.save(
        tmp_path / "tiny.pt", provenance=provenance(command=hostile, dataset=hostile), quality={hostile: 1.0}
    )
    page = page_of(write_report(checkpoint, data=tmp_path / "pictures"))
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 3


def test_data_that_has_moved_is_said_with_the_remedy(reported_run: Path, tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes((reported_run / "model.pt").read_bytes())
    config = build_config(
        {"name": "x", "preset": "folder", "data": {"dataset": "folder", "image_shape": [3, 8, 8]},
         "model": {"latent_dim": 2, "hidden_channels": [4]}, "optimizer": {"epochs": 1}}
    )  # fmt: skip
    text = config.model_copy(update={"data": config.data.model_copy(update={"root": Path("/gone/away")})})
    (tmp_path / "config.yaml").write_text(text.model_dump_json())
    with pytest.raises(DataError, match="no longer in /gone/away: add --data DIR"):
        write_report(tmp_path)


def test_a_run_without_an_export_says_how_to_make_one(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(TrainingError, match=f"no model.pt yet: .*training export {tmp_path}"):
        write_report(tmp_path)


def test_what_is_no_run_and_no_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="nowhere does not exist"):
        write_report(tmp_path / "nowhere")
    with pytest.raises(TrainingError, match="is no run"):
        write_report(tmp_path)
    (tmp_path / "file.pt").write_bytes(b"?")
    with pytest.raises(TrainingError, match=r"file.pt is no exported checkpoint"):
        write_report(tmp_path / "file.pt")


def test_a_damaged_evaluation_is_named(reported_run: Path, tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes((reported_run / "model.pt").read_bytes())
    (tmp_path / "model.evaluation.json").write_text("{")
    with pytest.raises(TrainingError, match=r"model.evaluation.json is no result of an evaluation"):
        write_report(tmp_path)


def test_a_checkpoint_without_its_images_asks_for_them(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="add --data DIR"):
        write_report(tiny_vae.save(tmp_path / "tiny.pt"))


def test_an_attribute_that_images_lack_is_refused(reported_run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no attribute 'Smiling'"):
        write_report(reported_run, output=tmp_path, attribute="Smiling")


def test_a_folder_that_cannot_be_written_is_named(reported_run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TrainingError, match=r"file/below.* cannot be written: .*--output FOLDER"):
        write_report(reported_run, output=tmp_path / "file" / "below")
