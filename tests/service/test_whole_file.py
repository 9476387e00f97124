import os
from pathlib import Path

import pytest

from service.whole_file import write_whole


def test_a_replaced_file_keeps_its_mode_and_a_new_one_can_be_read_by_all(tmp_path: Path) -> None:
    new, old = tmp_path / "new", tmp_path / "old"
    old.write_bytes(b"old")
    old.chmod(0o600)
    for path in (new, old):
        write_whole(path, b"content")
        assert path.read_bytes() == b"content"
    assert (new.stat().st_mode & 0o777, old.stat().st_mode & 0o777) == (0o644, 0o600)


def test_a_file_that_cannot_be_replaced_is_left_alone_and_nothing_lies_about(tmp_path: Path) -> None:
    (tmp_path / "folder/inner").mkdir(parents=True)
    with pytest.raises(OSError) as caught:
        write_whole(tmp_path / "folder", b"content")
    assert caught.value.filename == str(tmp_path / "folder")
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_whole(pipe, b"content")
    assert os.read(reader, 99) == b"content"
    os.close(reader)
    assert pipe.is_fifo()


def test_the_folder_is_made_where_there_is_none(tmp_path: Path) -> None:
    write_whole(tmp_path / "a/b/file", b"content")
    assert (tmp_path / "a/b/file").read_bytes() == b"content"
