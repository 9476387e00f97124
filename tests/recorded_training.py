"""`python -m training`, but each process writes down which images it was shown: for torchrun in tests.

The first argument is the folder for rank0.json and so on: for each epoch the checksums of the images.
"""

import json
import sys
import zlib
from collections import defaultdict
from pathlib import Path

import lightning
from torch import Tensor

from training.commands import main
from training.lightning_module import VAETraining


class Recorder(lightning.Callback):
    """Checksums of the images of each batch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen: dict[int, list[int]] = defaultdict(list)

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Tensor, batch_idx: int
    ) -> None:
        self.seen[trainer.current_epoch] += [checksum(image) for image in batch]

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        (self.folder / f"rank{trainer.global_rank}.json").write_text(json.dumps(list(self.seen.values())))


def checksum(image: Tensor) -> int:
    """Of one uint8 image."""
    return zlib.crc32(image.contiguous().numpy().tobytes())


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    VAETraining.configure_callbacks = lambda _self: [Recorder(folder)]  # type: ignore[method-assign]
    sys.exit(main(sys.argv[2:]))
