"""The checkpoints of the best epochs, which go with their folder wherever it is moved."""

from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import ModelCheckpoint

from training.run_folder import LOSS_IN_NAME, RunFolder

NUM_KEPT = 2


class BestCheckpoints(ModelCheckpoint):
    """Keeps the two epochs with the smallest val/loss; an epoch that is trained again replaces itself."""

    def __init__(self, folder: RunFolder) -> None:
        super().__init__(
            folder.checkpoints,
            filename=f"epoch{{epoch:03d}}{LOSS_IN_NAME}{{val/loss:.3f}}",
            auto_insert_metric_name=False,
            monitor="val/loss",
            save_top_k=NUM_KEPT,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what was kept; Lightning would forget it where the folder has been moved."""
        moved = {name: self._here(state_dict[name]) for name in ("best_model_path", "kth_best_model_path")}
        kept = {self._here(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict({**state_dict, **moved, "dirpath": self.dirpath, "best_k_models": kept})

    def _here(self, path: str) -> str:
        assert self.dirpath is not None
        return str(Path(self.dirpath) / Path(path).name) if path else path
