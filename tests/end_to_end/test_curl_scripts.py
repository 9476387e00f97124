"""Every script in openapi/curl against a live server, as printed in the README."""

import base64
import json
import math
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.curl_scripts import RunScript
from tests.pictures import file_of, noise, picture, pixels_of
from tests.scrape import samples

SIDE = 28

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")


@pytest.fixture
def upload(tmp_path: Path) -> Path:
    """A picture file of the size that the shipped checkpoint takes."""
    path = tmp_path / "photo.png"
    path.write_bytes(file_of(picture(noise(SIDE, SIDE, 1))))
    return path


def cells_of(path: Path) -> np.ndarray:
    """The pictures of a 3x3 sheet: (9, height, width)."""
    sheet = pixels_of(path.read_bytes()).astype(int)
    return sheet.reshape(3, SIDE, 3, SIDE).swapaxes(1, 2).reshape(9, SIDE, SIDE)


def test_sample_prints_four_images(run_script: RunScript) -> None:
    body = json.loads(run_script("sample"))
    assert body["seed"] == 42
    assert len(body["data"]) == 4
    for item in body["data"]:
        assert pixels_of(base64.b64decode(item["b64_json"])).shape == (SIDE, SIDE, 1)


def test_sample_png_writes_a_sheet_of_four_by_four(run_script: RunScript, tmp_path: Path) -> None:
    run_script("sample_png")
    assert pixels_of((tmp_path / "samples.png").read_bytes()).shape == (4 * SIDE, 4 * SIDE, 1)


def test_sample_zip_writes_one_file_an_image_and_a_manifest(run_script: RunScript, tmp_path: Path) -> None:
    run_script("sample_zip")
    with zipfile.ZipFile(tmp_path / "samples.zip") as archive:
        assert len(archive.namelist()) == 17
        assert len(json.loads(archive.read("manifest.json"))["data"]) == 16


def test_sample_tar_writes_what_sample_zip_does(run_script: RunScript, tmp_path: Path) -> None:
    run_script("sample_tar")
    run_script("sample_zip")
    with tarfile.open(tmp_path / "samples.tar") as tar, zipfile.ZipFile(tmp_path / "samples.zip") as zipped:
        assert tar.getnames() == zipped.namelist()


@pytest.mark.parametrize(("name", "kind"), [("sample_jpeg", "JPEG"), ("sample_webp", "WEBP")])
def test_sample_jpeg_and_sample_webp_write_the_sheet_in_their_format(
    run_script: RunScript, tmp_path: Path, name: str, kind: str
) -> None:
    path = tmp_path / run_script(name).strip()
    with Image.open(path) as image:
        assert (image.format, image.size) == (kind, (4 * SIDE, 4 * SIDE))


def test_sample_npy_writes_the_images_of_the_sheet(run_script: RunScript, tmp_path: Path) -> None:
    run_script("sample_npy")
    run_script("sample_png")
    images = np.load(tmp_path / "samples.npy")
    assert images.shape == (16, SIDE, SIDE, 1)
    sheet = pixels_of((tmp_path / "samples.png").read_bytes()).reshape(4, SIDE, 4, SIDE)
    np.testing.assert_array_equal(images.reshape(4, 4, SIDE, SIDE), sheet.swapaxes(1, 2))


def test_sample_get_writes_the_sheet_once_and_is_then_told_that_it_has_it(
    run_script: RunScript, tmp_path: Path
) -> None:
    assert run_script("sample_get").split() == ["200", "304", "./samples.png"]
    by_get = (tmp_path / "samples.png").read_bytes()
    run_script("sample_png")
    assert (tmp_path / "samples.png").read_bytes() == by_get


@pytest.mark.parametrize("name", ["encode", "encode_base64", "encode_raw"])
def test_encode_prints_the_posterior_of_a_file(run_script: RunScript, upload: Path, name: str) -> None:
    body = json.loads(run_script(name, str(upload)))
    (item,) = body["data"]
    assert len(item["mu"]) == len(item["log_var"]) == body["latent_dim"]


def test_every_way_to_send_a_file_gives_the_same_numbers(
    run_script: RunScript, upload: Path, tmp_path: Path
) -> None:
    multipart, in_json, raw = [
        json.loads(run_script(name, str(upload)))["data"]
        for name in ("encode", "encode_base64", "encode_raw")
    ]
    assert multipart == in_json == raw
    run_script("encode_npy", str(upload))
    expected = np.array([[multipart[0]["mu"]], [multipart[0]["log_var"]]], np.float32)
    np.testing.assert_array_equal(np.load(tmp_path / "posterior.npy"), expected)


@pytest.mark.parametrize(
    ("name", "kind"), [("photo.jpeg", "JPEG"), ("photo.webp", "WEBP"), ("photo.bmp", "BMP")]
)
def test_encode_raw_says_what_a_file_is_by_its_name(
    run_script: RunScript, tmp_path: Path, name: str, kind: str
) -> None:
    (tmp_path / name).write_bytes(file_of(picture(noise(SIDE, SIDE, 3)), kind))
    assert json.loads(run_script("encode_raw", name))["data"]


@pytest.mark.parametrize(
    "name",
    ["encode", "encode_base64", "encode_raw", "encode_npy", "reconstruct", "reconstruct_json", "score"],
)
def test_without_a_file_a_sample_is_sent(run_script: RunScript, tmp_path: Path, name: str) -> None:
    assert run_script(name)
    assert pixels_of((tmp_path / "sample.png").read_bytes()).shape == (SIDE, SIDE, 1)


def test_reconstruct_writes_a_picture_of_the_same_size(
    run_script: RunScript, upload: Path, tmp_path: Path
) -> None:
    run_script("reconstruct", str(upload))
    assert pixels_of((tmp_path / "reconstruction.png").read_bytes()).shape == (SIDE, SIDE, 1)


def test_reconstruct_json_prints_how_well_a_file_came_back(run_script: RunScript, upload: Path) -> None:
    (item,) = json.loads(run_script("reconstruct_json", str(upload)))["data"]
    assert item["mse"] > 0
    assert item["psnr"] == pytest.approx(-10 * math.log10(item["mse"]), rel=1e-4)
    assert item["kl"] > 0


def test_score_prints_the_anomaly_of_a_file(run_script: RunScript, upload: Path) -> None:
    (noise_,) = json.loads(run_script("score", str(upload)))["data"]
    assert noise_["elbo"] == pytest.approx(-noise_["rate"] - noise_["distortion"], rel=1e-5)
    (sample,) = json.loads(run_script("score"))["data"]
    assert sample["mse"] < noise_["mse"]
    assert sample["elbo"] > noise_["elbo"]


def test_interpolate_writes_the_way_from_one_seed_to_another(run_script: RunScript, tmp_path: Path) -> None:
    run_script("interpolate")
    cells = cells_of(tmp_path / "interpolation.png")
    assert len({cell.tobytes() for cell in cells}) == 9
    run_script("interpolate", "2", "1")
    np.testing.assert_array_equal(cells_of(tmp_path / "interpolation.png")[::-1], cells)


def test_interpolate_pictures_goes_from_one_file_to_another(
    run_script: RunScript, upload: Path, tmp_path: Path
) -> None:
    run_script("interpolate_pictures")
    samples_ = cells_of(tmp_path / "interpolation.png")
    assert {"from.png", "to.png"} <= {path.name for path in tmp_path.iterdir()}
    run_script("reconstruct", "from.png")
    first = pixels_of((tmp_path / "reconstruction.png").read_bytes())[..., 0].astype(int)
    assert np.abs(samples_[0] - first).max() <= 1
    run_script("interpolate_pictures", str(upload), "to.png")
    assert upload.read_bytes() == file_of(picture(noise(SIDE, SIDE, 1)))
    np.testing.assert_array_equal(cells_of(tmp_path / "interpolation.png")[-1], samples_[-1])


def test_decode_npy_writes_the_picture_of_its_file_and_without_one_of_zeros(
    run_script: RunScript, tmp_path: Path
) -> None:
    run_script("decode")
    middle = (tmp_path / "decoded.png").read_bytes()
    run_script("decode_npy")
    assert (tmp_path / "decoded.png").read_bytes() == middle
    zeros = np.load(tmp_path / "latents.npy")
    assert zeros.dtype == np.float32
    np.save(tmp_path / "mine.npy", zeros + 2.5)
    run_script("decode_npy", "mine.npy")
    assert (tmp_path / "decoded.png").read_bytes() != middle


def test_model_prints_the_default_model_or_the_one_that_it_is_given(
    run_script: RunScript, script_error: RunScript
) -> None:
    expected = json.loads(run_script("models"))["data"][0]
    assert json.loads(run_script("model")) == json.loads(run_script("model", "fashion-mnist")) == expected
    assert json.loads(script_error("model", "other").splitlines()[-1])["status"] == 404


def test_protocol_prints_server_model_and_readiness(run_script: RunScript) -> None:
    server, model, ready = map(json.loads, run_script("protocol").splitlines())
    assert server["extensions"] == ["binary_tensor_data"]
    assert [tensor["name"] for tensor in model["inputs"]] == ["images", "z"]
    assert ready == {"name": "fashion-mnist", "ready": True}


def test_infer_and_infer_binary_give_the_pixels_that_decode_does(
    run_script: RunScript, tmp_path: Path
) -> None:
    run_script("decode")
    pixels = pixels_of((tmp_path / "decoded.png").read_bytes())
    (tensor,) = json.loads(run_script("infer"))["outputs"]
    assert tensor["shape"] == [1, SIDE, SIDE, 1]
    assert tensor["data"] == pixels.ravel().tolist()
    run_script("infer_binary")
    content = (tmp_path / "tensors.bin").read_bytes()
    assert content.endswith(pixels.tobytes())
    (tensor,) = json.loads(content[: -pixels.size])["outputs"]
    assert tensor["parameters"] == {"binary_data_size": pixels.size}


def test_decode_writes_the_picture_of_the_latent_that_it_is_given(
    run_script: RunScript, tmp_path: Path
) -> None:
    run_script("decode")
    middle = pixels_of((tmp_path / "decoded.png").read_bytes())
    latent_dim = json.loads(run_script("models"))["data"][0]["latent_dim"]
    run_script("decode", ",".join(["2.5"] * latent_dim))
    other = pixels_of((tmp_path / "decoded.png").read_bytes())
    assert middle.shape == other.shape == (SIDE, SIDE, 1)
    assert (middle != other).any()


def test_pictures_go_where_out_dir_says(
    run_script: RunScript, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    monkeypatch.setenv("OUT_DIR", str(folder))
    run_script("sample_png")
    assert [path.name for path in folder.iterdir()] == ["samples.png"]


def test_the_samples_of_the_shipped_checkpoint_have_contrast_and_differ(
    run_script: RunScript, tmp_path: Path
) -> None:
    run_script("sample_png")
    sheet = pixels_of((tmp_path / "samples.png").read_bytes()).astype(float)
    cells = sheet.reshape(4, SIDE, 4, SIDE).swapaxes(1, 2).reshape(16, -1)
    assert (cells.std(axis=1) > 10).all()
    assert len({cell.tobytes() for cell in cells}) == 16


def test_models_prints_what_is_served(run_script: RunScript) -> None:
    body = json.loads(run_script("models"))
    assert body["data"][0]["name"] == "fashion-mnist"
    assert body["limits"]["max_images"] == 64


def test_health_prints_two_lines(run_script: RunScript) -> None:
    assert [json.loads(line) for line in run_script("health").splitlines()] == [
        {"status": "ok"},
        {"status": "ready"},
    ]


def test_metrics_prints_what_prometheus_reads(run_script: RunScript) -> None:
    assert samples(run_script("metrics"))["vae_ready"] == 1


def test_an_error_is_printed_and_is_an_error_of_the_script(run_script: RunScript, tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no picture")
    assert json.loads(run_script("encode", str(text), status=22))["status"] == 400


def test_a_server_that_is_not_there_is_an_error_of_the_script(run_script: RunScript) -> None:
    run_script("health", base_url="http://127.0.0.1:9", status=7)
