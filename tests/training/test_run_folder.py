from pathlib import Path

import pytest

from training.config import Config, load_preset
from training.errors import DataError, TrainingError
from training.run_folder import RunFolder


def test_what_was_left_half_written_is_dropped_when_a_run_goes_on(
    tiny_config: Config, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.checkpoints.mkdir(parents=True)
    (folder.checkpoints / ".x7f.part").write_bytes(b"half")
    folder.last.write_bytes(b"whole")
    folder.write_config(tiny_config)
    assert [file.name for file in folder.checkpoints.iterdir()] == ["last.ckpt"]


def test_the_folder_of_images_is_known_where_the_config_names_one(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.data_root() is None
    for content in ("", "data:", "data: {root: null}"):
        folder.config.write_text(content)
        assert folder.data_root() is None
    folder.config.write_text(f"data: {{root: {tmp_path}}}")
    assert folder.data_root() == tmp_path
    folder.config.write_text("data: {root: /gone/away}")
    with pytest.raises(DataError, match="no longer in /gone/away: add --data DIR"):
        folder.data_root()


@pytest.mark.parametrize("left", ["checkpoints/epoch000-loss1.000.ckpt", "tensorboard/events.out.tfevents.0"])
def test_what_ended_before_it_could_be_resumed_is_set_aside_too(tmp_path: Path, left: str) -> None:
    folder = RunFolder(tmp_path / "sprites")
    (folder.root / left).parent.mkdir(parents=True)
    (folder.root / left).touch()
    earlier = folder.begin(load_preset("sprites"))
    assert earlier is not None
    assert (earlier / left).exists()
    assert not (folder.root / left).exists()
    assert folder.begin(load_preset("sprites")) is None


def test_a_run_in_progress_is_left_alone(tmp_path: Path) -> None:
    config = load_preset("sprites")
    folder = RunFolder(tmp_path / "sprites")
    folder.begin(config)
    folder.checkpoints.mkdir()
    folder.last.touch()
    with folder.claimed():
        for intrude in (lambda: folder.begin(config), lambda: folder.claimed().__enter__()):
            with pytest.raises(TrainingError, match=r"a run is still in progress in .*sprites: wait"):
                intrude()
        assert folder.last.exists()
    assert folder.begin(config) is not None
