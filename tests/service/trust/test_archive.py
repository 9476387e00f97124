"""A damaged, bloated or disguised archive is refused before PyTorch sees it, and the process lives."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from service import checkpoint
from service.errors import InvalidCheckpoint
from service.trust import archive
from service.trust.archive import Archive
from tests import mutations
from tests.planted import files_of, rewritten

FOLDER = "archive"


def refusal(path: Path) -> str:
    with pytest.raises(InvalidCheckpoint) as caught:
        checkpoint.load(path)
    assert caught.value.field == "file"
    return caught.value.problem


@pytest.mark.parametrize("is_archive", [True, False])
def test_weights_alone_are_told_from_a_damaged_file(tmp_path: Path, *, is_archive: bool) -> None:
    path = tmp_path / "weights.pt"
    torch.save(torch.nn.Linear(2, 3).state_dict(), path, _use_new_zipfile_serialization=is_archive)
    assert "holds weights alone" in refusal(path)
    assert "torch.jit.script(model).save(FILE)" in refusal(path)


def test_pytorch_is_given_the_checked_parts_and_no_others(tiny_checkpoint: Path, tmp_path: Path) -> None:
    path = rewritten(
        tiny_checkpoint,
        tmp_path / "more.pt",
        lambda files: files.update({f"{FOLDER}/model.json": b"{}", f"{FOLDER}/code/x.py.debug_pkl": b"."}),
    )
    content = tmp_path / "for_torch.pt"
    content.write_bytes(Archive.read(path.read_bytes()).for_torch())
    expected = {name: part for name, part in files_of(tiny_checkpoint).items() if "/extra/" not in name}
    assert files_of(content) == expected


def test_one_wrong_bit_in_the_weights_is_refused(tiny_checkpoint: Path, tmp_path: Path) -> None:
    content = bytearray(tiny_checkpoint.read_bytes())
    weights = files_of(tiny_checkpoint)[f"{FOLDER}/data/0"]
    content[content.index(weights) + 100] ^= 1
    path = tmp_path / "flipped.pt"
    path.write_bytes(content)
    assert "Bad CRC-32 for file 'archive/data/0'" in refusal(path)


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "archive/../../x", "archive/./x", "archive//x", "archive/a\\b", "x"]
)
def test_a_name_that_is_no_plain_path_is_refused(tiny_checkpoint: Path, tmp_path: Path, name: str) -> None:
    path = rewritten(tiny_checkpoint, tmp_path / "names.pt", lambda files: files.update({name: b""}))
    assert "names that are not plain paths" in refusal(path)


@pytest.mark.parametrize("name", ["archive/DATA/0", "archive/Data.pkl", "archive/Version"])
def test_a_name_that_pytorch_takes_for_another_is_refused(
    tiny_checkpoint: Path, tmp_path: Path, name: str
) -> None:
    path = rewritten(tiny_checkpoint, tmp_path / "names.pt", lambda files: files.update({name: b""}))
    assert "a name twice" in refusal(path)


def test_an_archive_that_unpacks_to_much_more_than_itself_is_refused(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bomb:
        for name, content in files_of(tiny_checkpoint).items():
            bomb.writestr(name, content)
        with bomb.open(f"{FOLDER}/data/99", "w") as part:
            for _ in range(65):
                part.write(bytes(2**20))
    assert path.stat().st_size < 2**20
    assert "would unpack to more than 67108864 bytes above its own" in refusal(path)


def test_more_code_than_the_limit_is_refused(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MAX_CODE_BYTES", 1000)
    path = rewritten(
        tiny_checkpoint,
        tmp_path / "code.pt",
        lambda files: files.update({f"{FOLDER}/code/x.py": bytes(1000)}),
    )
    assert "bytes of code, the limit is 1000" in refusal(path)


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_another_compression_than_pytorchs_is_refused(
    tiny_checkpoint: Path, tmp_path: Path, compression: int
) -> None:
    path = tmp_path / "compressed.pt"
    with zipfile.ZipFile(path, "w", compression) as target:
        for name, content in files_of(tiny_checkpoint).items():
            target.writestr(name, content)
    assert "compressed in a way" in refusal(path)


def test_an_archive_before_which_something_stands_is_read_as_what_was_checked(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    path = tmp_path / "moved.pt"
    path.write_bytes(b"#!/bin/sh\n" + tiny_checkpoint.read_bytes())
    assert checkpoint.load(path).metadata.name == "tiny"


@pytest.mark.slow
@pytest.mark.parametrize("kind", mutations.KINDS)
def test_no_mutation_ends_the_process(tiny_checkpoint: Path, tmp_path: Path, kind: str) -> None:
    command = [sys.executable, "-m", "tests.mutations", kind, "300", str(tiny_checkpoint), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    refused, loaded = map(int, done.stdout.split())
    assert refused + loaded == 300
    assert refused > 100
