"""The zip archive that a checkpoint is, with a part left out or exchanged."""

import io
import zipfile


def without_source_paths(content: bytes) -> bytes:
    """The archive less its debug tables, which name source files of the machine that wrote it."""
    parts = _parts(content)
    return _archive([(entry, part) for entry, part in parts if not entry.filename.endswith(".debug_pkl")])


def with_extra(content: bytes, name: str, replacement: bytes) -> bytes:
    """The archive with other content in one of the files beside TorchScript, the rest byte for byte."""
    ending = f"/extra/{name}"
    parts = _parts(content)
    return _archive(
        [(entry, replacement if entry.filename.endswith(ending) else part) for entry, part in parts]
    )


def _parts(content: bytes) -> list[tuple[zipfile.ZipInfo, bytes]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return [(entry, archive.read(entry)) for entry in archive.infolist()]


def _archive(parts: list[tuple[zipfile.ZipInfo, bytes]]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for entry, part in parts:
            archive.writestr(entry, part)
    return file.getvalue()
