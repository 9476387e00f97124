"""Files that are written whole or not at all: an earlier one outlives kill -9, and a disk that is full."""

import io
import os
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO


class WholeCheckpoints(TorchCheckpointIO):
    """Lightning's checkpoints by `write_whole`; Lightning itself moves them over from another file system."""

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | os.PathLike[str],
        storage_options: Any | None = None,  # noqa: ANN401
    ) -> None:
        """Write one checkpoint.

        Raises:
            OSError: Naming the file; the earlier one of that name is as it was.
        """
        content = io.BytesIO()
        torch.save(checkpoint, content)
        write_whole(Path(path), content.getbuffer())


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Write a file, or replace one, in one step, its folder made where there is none.

    Raises:
        OSError: Naming the file; the earlier one of that name is as it was.
    """
    temporary = path.with_name(".part")  # always the same, so that what kill -9 leaves does not add up
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from None
