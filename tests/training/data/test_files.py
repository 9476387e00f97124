"""What a folder of pictures may hold, as people have them."""

import io
import logging
import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from training.config import Config, load_preset
from training.data import files, load_splits
from training.data.files import read_kept
from training.data.folder import FEW_IMAGES, folder_paths
from training.errors import DataError

Pixel = tuple[int, int, int]


def config(root: Path) -> Config:
    return load_preset("folder", changes={"data.root": root, "data.image_shape": (3, 8, 8)})


def names(root: Path) -> list[str]:
    parts = folder_paths(root, config=config(root).data, seed=0)
    return sorted(str(path.relative_to(root)) for paths in parts.values() for path in paths)


def plain(level: int, size: tuple[int, int] = (10, 12)) -> Image.Image:
    return Image.new("L", size, level)


def palette() -> Image.Image:
    image = Image.new("P", (9, 9), 1)
    image.putpalette([0, 0, 0, 10, 200, 30])
    return image


def sixteen_bits() -> Image.Image:
    return Image.fromarray(np.full((9, 9), 77 * 257, dtype=np.uint16))


PICTURES: dict[str, tuple[Image.Image, Pixel]] = {
    "grey.png": (plain(90), (90, 90, 90)),
    "wide.bmp": (Image.new("RGB", (300, 20), (1, 2, 3)), (1, 2, 3)),
    "tall.webp": (Image.new("RGB", (7, 200), (255, 255, 255)), (255, 255, 255)),
    "one-pixel.png": (Image.new("RGB", (1, 1), (4, 5, 6)), (4, 5, 6)),
    "palette.gif": (palette(), (10, 200, 30)),
    "transparent.png": (Image.new("RGBA", (9, 9), (200, 0, 0, 0)), (255, 255, 255)),
    "half.png": (Image.new("RGBA", (9, 9), (200, 0, 100, 51)), (244, 204, 224)),  # 0.2 of it on white
    "grey-alpha.png": (Image.new("LA", (9, 9), (40, 255)), (40, 40, 40)),
    "two-levels.png": (Image.new("1", (9, 9), 1), (255, 255, 255)),
    "sixteen-bits.png": (sixteen_bits(), (77, 77, 77)),
    "sixteen-bits.tiff": (sixteen_bits(), (77, 77, 77)),
    "printed.jpg": (Image.new("CMYK", (9, 9), (255, 255, 0, 0)), (0, 0, 255)),
}


def test_pictures_of_any_kind_become_the_same_kind_of_input(tmp_path: Path) -> None:
    for name, (picture, _) in PICTURES.items():
        picture.save(tmp_path / name)
    paths = [tmp_path / name for name in PICTURES]
    images, kept = read_kept(paths, config=config(tmp_path).data)
    assert kept == list(range(len(PICTURES)))
    for image, (name, (_, expected)) in zip(images, PICTURES.items(), strict=True):
        mean = image.float().mean(dim=(1, 2)).tolist()
        assert mean == pytest.approx(expected, abs=2.0 if name.endswith("jpg") else 0.5), name


def test_a_picture_lies_as_its_exif_says(tmp_path: Path) -> None:
    left_half_white = Image.new("L", (20, 20), 0)
    left_half_white.paste(255, (0, 0, 10, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees clockwise to be seen
    for name in ("turned.jpg", "turned.png"):
        left_half_white.save(tmp_path / name, exif=exif)
    images, _ = read_kept(sorted(tmp_path.iterdir()), config=config(tmp_path).data)
    assert images[:, :, :3].min() > 240
    assert images[:, :, 5:].max() < 15


def encoded(form: str) -> bytes:
    content = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save(content, form)
    return content.getvalue()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "PPM"])
def test_a_file_that_was_cut_off_is_named_and_skipped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, form: str
) -> None:
    whole, cut = tmp_path / "whole.png", tmp_path / f"cut.{form.lower()}"
    plain(1).save(whole)
    cut.write_bytes(encoded(form)[: len(encoded(form)) // 2])
    with caplog.at_level(logging.WARNING, logger="training"):
        _, kept = read_kept([whole, cut, whole], config=config(tmp_path).data)
    assert kept == [0, 2]
    assert f"skipped 1 of 3 files that cannot be decoded: {cut} (is damaged or no image)" in caplog.text


def test_each_bad_file_is_skipped_with_its_reason_and_all_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good = tmp_path / "good.png"
    plain(1).save(good)
    bad = {
        name: tmp_path / name for name in ("empty.png", "text.jpg", "broken-link.png", "no-end.png", "f.tiff")
    }
    bad["empty.png"].touch()
    bad["text.jpg"].write_text("<html>404</html>")
    bad["broken-link.png"].symlink_to(tmp_path / "nowhere.png")
    bad["no-end.png"].symlink_to("/proc/self/mem")  # opens, and cannot be read
    Image.fromarray(np.zeros((9, 9), dtype=np.float32)).save(bad["f.tiff"])
    more = [tmp_path / "text.jpg"] * 3
    with caplog.at_level(logging.WARNING, logger="training"):
        _, kept = read_kept([good, *bad.values(), *more, good], config=config(tmp_path).data)
    assert kept == [0, 9]
    for reason in (
        "skipped 8 of 10 files",
        "empty.png (is empty)",
        "text.jpg (is damaged or no image)",
        "broken-link.png (No such file or directory)",
        "no-end.png (Input/output error)",
        "f.tiff (has pixels of 32 bits, whose range is not known)",
        "and 3 more",
    ):
        assert reason in caplog.text


def test_a_picture_of_absurd_size_is_skipped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    plain(1, (9, 9)).save(tmp_path / "good.png")
    plain(1, (20, 11)).save(tmp_path / "huge.png")
    with caplog.at_level(logging.WARNING, logger="training"):
        _, kept = read_kept([tmp_path / "good.png", tmp_path / "huge.png"], config=config(tmp_path).data)
    assert kept == [0]
    assert "huge.png (is too large)" in caplog.text


def test_hidden_files_and_folders_are_left_out(tmp_path: Path) -> None:
    for name in ("cats/1.png", "cats/._1.png", "__MACOSX/cats/1.png", ".cache/2.png", ".3.png", "dogs/4.PNG"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        plain(1).save(tmp_path / name, "PNG")
    (tmp_path / "cats/Thumbs.db").touch()
    assert names(tmp_path) == ["cats/1.png", "dogs/4.PNG"]


def test_links_are_followed_each_picture_is_taken_once_and_circles_end(tmp_path: Path) -> None:
    elsewhere, root = tmp_path / "elsewhere", tmp_path / "root"
    for folder in (elsewhere, root / "a"):
        folder.mkdir(parents=True)
        plain(1).save(folder / "1.png")
        plain(2).save(folder / "2.png")
    (root / "linked").symlink_to(elsewhere)
    (root / "linked-again").symlink_to(elsewhere)
    (root / "a/circle").symlink_to(root)
    (root / "a/3.png").symlink_to(root / "a/1.png")
    (root / "a/5.png").symlink_to(elsewhere / "1.png")
    os.mkfifo(root / "a/pipe.png")
    assert names(root) == ["a/1.png", "a/2.png", "a/5.png", "linked/2.png"]


def test_a_folder_of_one_picture_says_that_two_are_the_least(tmp_path: Path) -> None:
    plain(1).save(tmp_path / "only.png")
    with pytest.raises(DataError, match=r"one image, only\.png: two are the least"):
        load_splits(config(tmp_path))


@pytest.mark.parametrize(("num", "are_few"), [(3, True), (FEW_IMAGES - 1, True), (FEW_IMAGES, False)])
def test_few_pictures_are_called_few(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, num: int, are_few: bool
) -> None:
    for number in range(num):
        plain(number).save(tmp_path / f"{number}.png")
    with caplog.at_level(logging.WARNING, logger="training"):
        splits = load_splits(config(tmp_path))
    said = f"{len(splits.train)} images to train on and {len(splits.validation)} to judge by are few"
    assert (said in caplog.text) is are_few


def test_images_beyond_memory_are_kept_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for level in range(5):
        plain(level).save(tmp_path / f"{level}.png")
    in_memory = load_splits(config(tmp_path))
    monkeypatch.setattr(files, "MAX_MEMORY_BYTES", 100)
    in_file = load_splits(config(tmp_path))
    assert torch.equal(in_memory.train, in_file.train)


def test_a_disk_too_small_for_that_file_is_named_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain(1).save(tmp_path / "1.png")
    monkeypatch.setattr(files, "MAX_MEMORY_BYTES", 100)
    huge = load_preset("folder", changes={"data.root": tmp_path, "data.image_shape": (3, 2**31, 2**31)})
    with pytest.raises(
        DataError, match=r"the images need 13835058055\.3 GB in .*: No space left on device; set TMPDIR"
    ):
        read_kept([tmp_path / "1.png"], config=huge.data)


def test_ctrl_c_while_images_are_read_does_not_wait_for_all_of_them(tmp_path: Path) -> None:
    plain(1).save(tmp_path / "1.png")
    main_thread = threading.main_thread().ident
    assert main_thread is not None
    opened: list[int] = []

    class Watched(type(tmp_path)):  # type: ignore[misc]
        """A path that presses Ctrl-C when it is opened, and counts."""

        def __fspath__(self) -> str:
            opened.append(1)
            if len(opened) == 1:
                signal.pthread_kill(main_thread, signal.SIGINT)
            return str(super().__fspath__())

    with pytest.raises(KeyboardInterrupt):
        read_kept([Watched(tmp_path / "1.png")] * 50_000, config=config(tmp_path).data)
    assert len(opened) < 40_000
