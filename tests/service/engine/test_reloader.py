"""Checkpoint files that appear and change: taken when they are good, and what was there stays when not."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

from service import checkpoint
from service.app import build_engine
from service.engine.codecs import Codecs
from service.engine.engine import Engine
from service.engine.reloader import Reloader
from service.errors import InvalidCheckpoint
from service.metrics import Metrics
from service.settings import Settings
from tests import tiny_vae
from tests.scrape import samples


class Rig:
    """A reloader of a file or folder, and the engines that it gave; they are never started."""

    def __init__(self, source: Path, device: torch.device) -> None:
        settings = Settings(checkpoint=source, device=str(device), precision="float32", max_batch_size=1)
        self._metrics = Metrics()
        self.reloader = Reloader(
            source, partial(build_engine, settings, Codecs(1), self._metrics), self._metrics, watch_seconds=0
        )
        self.engines: list[Engine] = []

    def look(self, *, is_asked: bool = False) -> list[str]:
        """Look once: the versions that were loaded."""
        self.engines.clear()
        self.reloader.look(self.engines.append, is_asked=is_asked)
        return [engine.runtime.version for engine in self.engines]

    def counted(self, result: str) -> float:
        return samples(self._metrics.render())[f'vae_model_reloads_total{{result="{result}"}}']


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tiny_vae.save(tmp_path / "tiny.pt")


@pytest.fixture
def rig(file: Path, device: torch.device) -> Rig:
    """A reloader that has loaded one file."""
    rig = Rig(file, device)
    (engine,) = rig.reloader.load_all()
    assert engine.name == tiny_vae.NAME
    return rig


def change(file: Path, **changes: object) -> str:
    """Write another tiny checkpoint in the place of a file: its version."""
    tiny_vae.save(file, **changes)
    return checkpoint.load(file).sha256[:12]


def test_a_changed_file_is_taken_once_it_is_the_same_in_two_looks(rig: Rig, file: Path) -> None:
    assert rig.look() == []
    version = change(file, quality={"elbo": -2.0})
    assert rig.look() == []
    assert rig.look() == [version]
    assert rig.look() == []
    assert (rig.counted("loaded"), rig.counted("refused")) == (1, 0)


def test_a_file_that_is_still_written_is_left_alone(rig: Rig, file: Path) -> None:
    content = file.read_bytes()
    for length in (100, 200, 300):
        file.write_bytes(content[:length])
        assert rig.look() == []
    assert rig.counted("refused") == 0


def test_who_asks_gets_a_changed_file_at_once_and_an_unchanged_one_not_again(rig: Rig, file: Path) -> None:
    assert rig.look(is_asked=True) == []
    version = change(file, quality={"elbo": -2.0})
    assert rig.look(is_asked=True) == [version]
    assert rig.look(is_asked=True) == []


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-200])


def corrupt(file: Path) -> None:
    content = bytearray(file.read_bytes())
    for index in range(0, len(content), 97):
        content[index] ^= 0xFF
    file.write_bytes(content)


@pytest.mark.parametrize("harm", [truncate, corrupt, Path.unlink])
def test_a_bad_file_is_refused_once_and_taken_when_it_is_mended(
    rig: Rig, file: Path, harm: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    harm(file)
    assert [rig.look() for _ in range(4)] == [[]] * 4
    if file.exists():
        assert rig.counted("refused") == 1
        assert "is refused, what was served stays" in caplog.text
        assert str(file) in caplog.text
    version = change(file, quality={"elbo": -3.0})
    assert (rig.look(), rig.look()) == ([], [version])


def test_of_a_file_that_is_gone_it_is_said_once_that_its_model_is_still_served(
    rig: Rig, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = file.read_bytes()
    file.unlink()
    rig.look()
    file.write_bytes(content)  # it was only replaced
    rig.look()
    assert "is gone" not in caplog.text
    file.unlink()
    for _ in range(4):
        rig.look()
    assert caplog.text.count(f"{file} is gone; the model is served until the service is started again") == 1


def test_a_refused_file_is_tried_again_when_asked(rig: Rig, file: Path) -> None:
    truncate(file)
    rig.look(is_asked=True)
    rig.look(is_asked=True)
    assert rig.counted("refused") == 2


def test_a_file_whose_model_has_another_name_is_refused(
    rig: Rig, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    change(file, name="another")
    assert rig.look(is_asked=True) == []
    assert "metadata.name: another, but callers rely on tiny, which is served" in caplog.text


def test_a_model_of_other_shapes_is_refused(
    rig: Rig, file: Path, caplog: pytest.LogCaptureFixture, other_shapes: Path
) -> None:
    other_shapes.replace(file)
    assert rig.look(is_asked=True) == []
    assert "metadata.image_shape: (1, 28, 28), but callers rely on (3, 8, 8)" in caplog.text


@pytest.fixture
def other_shapes(tmp_path: Path) -> Path:
    """The shipped checkpoint under the tiny one's name."""
    shipped = checkpoint.load(Settings().checkpoint)
    path = tmp_path / "other"
    checkpoint.save(path, shipped.module, shipped.metadata.model_copy(update={"name": tiny_vae.NAME}))
    return path


def test_each_file_of_a_folder_is_a_model_and_new_ones_are_taken(
    tmp_path: Path, device: torch.device, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    tiny_vae.save(tmp_path / "b.pt", name="second")
    tiny_vae.save(tmp_path / "a.pt", name="first")
    rig = Rig(tmp_path, device)
    assert [engine.name for engine in rig.reloader.load_all()] == ["first", "second"]
    version = change(tmp_path / "c.pt", name="third")
    assert (rig.look(), rig.look()) == ([], [version])
    assert f"loading {tmp_path / 'c.pt'}, which is new" in caplog.text
    assert f"{tmp_path / 'c.pt'} is served from now on: third, version {version}" in caplog.text
    version = change(tmp_path / "c.pt", name="third", quality={"elbo": -2.0})
    assert rig.look(is_asked=True) == [version]
    assert f"loading {tmp_path / 'c.pt'}, which changed" in caplog.text
    change(tmp_path / "d.pt", name="first")
    assert rig.look(is_asked=True) == []
    assert rig.counted("refused") == 1
    assert "d.pt is named first, as a.pt is" in caplog.text


def test_two_files_of_one_name_are_refused_at_start(tmp_path: Path, device: torch.device) -> None:
    tiny_vae.save(tmp_path / "a.pt")
    tiny_vae.save(tmp_path / "b.pt")
    with pytest.raises(
        InvalidCheckpoint, match=r"metadata\.name: b\.pt is named tiny, as a\.pt is.* take one"
    ):
        Rig(tmp_path, device).reloader.load_all()


def test_an_empty_folder_is_refused_at_start(tmp_path: Path, device: torch.device) -> None:
    with pytest.raises(InvalidCheckpoint, match=r"there is no \*\.pt in"):
        Rig(tmp_path, device).reloader.load_all()
    (tmp_path / "run").mkdir()
    tiny_vae.save(tmp_path / "run/model.pt")
    with pytest.raises(InvalidCheckpoint, match=r"but there is .*run/model\.pt: name that file"):
        Rig(tmp_path, device).reloader.load_all()


def test_a_file_that_has_another_name_now_is_taken_and_keeps_its_promises(
    tmp_path: Path, device: torch.device, caplog: pytest.LogCaptureFixture, other_shapes: Path
) -> None:
    tiny_vae.save(tmp_path / "v1.pt")
    rig = Rig(tmp_path, device)
    rig.reloader.load_all()
    (tmp_path / "v1.pt").unlink()
    version = change(tmp_path / "v2.pt", quality={"elbo": -2.0})
    assert rig.look(is_asked=True) == [version]
    (tmp_path / "v2.pt").unlink()
    other_shapes.replace(tmp_path / "v3.pt")
    assert rig.look(is_asked=True) == []
    assert "metadata.image_shape: (1, 28, 28), but callers rely on (3, 8, 8)" in caplog.text


def test_a_second_new_file_of_one_name_is_refused(tmp_path: Path, device: torch.device) -> None:
    tiny_vae.save(tmp_path / "a.pt", name="first")
    rig = Rig(tmp_path, device)
    rig.reloader.load_all()
    for file in ("b.pt", "c.pt"):
        change(tmp_path / file, name="second")
    assert len(rig.look(is_asked=True)) == 1
    assert (rig.counted("loaded"), rig.counted("refused")) == (1, 1)


def test_a_precision_that_a_new_file_is_refused_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tiny_vae.save(tmp_path / "tiny.pt")
    settings = Settings(checkpoint=file, device="cpu", precision="tf32", max_batch_size=1)
    engine = build_engine(settings, Codecs(1), Metrics(), file)
    assert engine.runtime.precision == "float32"
    assert any(record.message.startswith("tiny: tf32 is not used") for record in caplog.records)
