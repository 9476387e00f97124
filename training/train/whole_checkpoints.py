"""Checkpoints of a run that are written whole or not at all."""

import io
import os
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from service.whole_file import write_whole


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
