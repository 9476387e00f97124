"""What a report is on: a run with its exported checkpoint, or an exported checkpoint alone.

runs/<name>/model.pt                 the checkpoint, which says how it was trained
            model.evaluation.json    figures of `python -m training evaluate`, if it was run
            config.yaml              where the images were
            tensorboard/             curves
"""

import dataclasses
from pathlib import Path

from pydantic import ValidationError

from service.checkpoint import Checkpoint, load
from service.errors import InvalidCheckpoint
from training.config import DataConfig, load_preset
from training.errors import TrainingError
from training.evaluate.subject import is_autoencoder
from training.report.curves import Log, read_log
from training.report.evaluation import Evaluation, read_evaluation
from training.run_folder import RunFolder


@dataclasses.dataclass(frozen=True)
class Subject:
    """A loaded checkpoint and what is known of its training.

    Attributes:
        file: The exported checkpoint.
        checkpoint: Its content.
        data: How its images are read.
        seed: Of its run: of the split, and of the samples.
        log: What its run logged; None where that is not beside it.
        evaluation: What was measured after the export, if it was.
    """

    file: Path
    checkpoint: Checkpoint
    data: DataConfig
    seed: int
    log: Log | None
    evaluation: Evaluation | None

    @property
    def is_autoencoder(self) -> bool:
        """Whether it was trained without a prior, so that there is no KL divergence."""
        return is_autoencoder(self.checkpoint.metadata)


def open_subject(source: Path, *, root: Path | None) -> Subject:
    """Load a run folder's model.pt, or an exported checkpoint.

    Args:
        source: The folder or the file.
        root: Folder of the images, where it is not the one that the run was trained on.

    Raises:
        TrainingError: With the remedy in its message.
    """
    file = source if source.is_file() else _exported_in(source)
    run = RunFolder(file.parent)
    try:
        checkpoint = load(file)
    except InvalidCheckpoint as error:
        raise TrainingError(f"{file} is no exported checkpoint: {error}") from None
    seed = checkpoint.metadata.provenance.config.get("seed", 0)
    return Subject(
        file=file,
        checkpoint=checkpoint,
        data=_data(checkpoint, root=root or run.data_root()),
        seed=seed if isinstance(seed, int) else 0,
        log=read_log(run.tensorboard),
        evaluation=read_evaluation(file.with_suffix(".evaluation.json")),
    )


def _exported_in(run: Path) -> Path:
    file = RunFolder(run).exported
    if file.is_file():
        return file
    if not run.exists():
        raise TrainingError(f"{run} does not exist; a run is a folder in runs/, or where --runs said")
    if not RunFolder(run).checkpoints.is_dir():
        raise TrainingError(f"{run} is no run: neither model.pt nor checkpoints/ is in it")
    raise TrainingError(f"{run} holds no model.pt yet: make it with python -m training export {run}")


def _data(checkpoint: Checkpoint, *, root: Path | None) -> DataConfig:
    """As the checkpoint says; one that does not is taken to be of a plain folder of images."""
    metadata = checkpoint.metadata
    folder = load_preset("folder").data
    try:
        data = DataConfig.model_validate(metadata.provenance.config.get("data", folder))
    except ValidationError:
        data = folder
    changes = {"root": root, "image_shape": metadata.image_shape, "preprocessing": metadata.preprocessing}
    return data.model_copy(update=changes)
