import io
import zipfile
from pathlib import Path

import pytest

from service import checkpoint
from service.archive_file import with_extra, without_source_paths
from service.checkpoint import load, replace_metadata
from service.errors import InvalidCheckpoint
from tests import tiny_vae


def archive(**parts: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as target:
        for name, content in parts.items():
            target.writestr(name, content)
    return file.getvalue()


def parts(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as source:
        return {name: source.read(name) for name in source.namelist()}


def test_one_part_is_exchanged_and_the_rest_is_as_it_was() -> None:
    content = archive(**{"a/extra/note": "old", "a/code": "x", "a/extra/note2": "y"})
    assert parts(with_extra(content, "note", b"new")) == {
        "a/extra/note": b"new", "a/code": b"x", "a/extra/note2": b"y",
    }  # fmt: skip


def test_tables_that_name_source_files_are_left_out() -> None:
    content = archive(**{"a/code.py": "x", "a/code.py.debug_pkl": "/home/someone"})
    assert list(parts(without_source_paths(content))) == ["a/code.py"]


def test_metadata_are_replaced_and_code_weights_and_golden_values_stay_byte_for_byte(tmp_path: Path) -> None:
    path = tiny_vae.save(tmp_path / "tiny.pt")
    before = parts(path.read_bytes())
    replace_metadata(path, tiny_vae.metadata(quality={"elbo": -7.0}))
    after = parts(path.read_bytes())
    assert load(path).metadata == tiny_vae.metadata(quality={"elbo": -7.0})
    changed = {name for name in before if before[name] != after[name]}
    assert before.keys() == after.keys()
    assert [name.split("/", 1)[1] for name in changed] == [f"extra/{checkpoint.METADATA_FILE}"]


def test_the_metadata_of_what_is_no_checkpoint_are_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "some.pt"
    path.write_bytes(archive(**{"a/data": "x"}))
    before = path.read_bytes()
    with pytest.raises(InvalidCheckpoint, match=r"metadata\.json"):
        replace_metadata(path, tiny_vae.metadata())
    assert path.read_bytes() == before
