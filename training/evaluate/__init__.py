"""What a checkpoint is worth, in figures."""

import logging
import time
from pathlib import Path

import torch

from service.checkpoint import replace_metadata
from service.whole_file import write_whole
from training.data.parts import Part
from training.errors import EvaluationError, NotComputable
from training.evaluate.groups import GROUPS
from training.evaluate.images import load_evaluated
from training.evaluate.importance_bound import partial_path
from training.evaluate.measurement import Measurement, Settings
from training.evaluate.results import as_json, with_figures
from training.evaluate.subject import Subject, open_subject

logger = logging.getLogger(__name__)


def evaluate(
    checkpoint: Path,
    *,
    settings: Settings,
    root: Path | None = None,
    split: Part | None = None,
    limit: int | None = None,
) -> Measurement:
    """Measure a checkpoint on images that it was not trained on.

    Args:
        checkpoint: An exported checkpoint, a run folder or a Lightning checkpoint.
        settings: How to measure.
        root: The folder of the data set, where it is not the one that the run names.
        split: test or validation; by default test where the data set has it.
        limit: Take only so many images; see load_evaluated.

    Raises:
        TrainingError: In one line, with the remedy.
    """
    with torch.no_grad():
        subject = open_subject(checkpoint, root=root, device=settings.device)
        expected = subject.validation_fingerprint
        images = load_evaluated(subject.data, seed=subject.seed, split=split, limit=limit, expected=expected)
        _check_shape(subject, tuple(images.shown.shape[1:]))
        logger.info("%d images of the %s split of %s", len(images.shown), images.split, subject.data.dataset)
        measurement = Measurement(subject, images, settings)
        for name, measure in GROUPS.items():
            started = time.monotonic()
            try:
                measure(measurement)
            except NotComputable as reason:
                measurement.figures.skipped[name] = str(reason)
            logger.info("%s: %.1f s", name, time.monotonic() - started)
    return measurement


def keep(measurement: Measurement, *, output: Path, seconds: float, is_written: bool) -> None:
    """Write the results as JSON and, of an exported checkpoint, into its metadata; drop partial results."""
    subject = measurement.subject
    try:
        write_whole(output, as_json(measurement, seconds=seconds))
        if is_written and subject.metadata is not None:
            replace_metadata(subject.path, with_figures(subject.metadata, measurement))
    except OSError as error:
        raise EvaluationError(
            f"{error.filename or output} cannot be written: {error.strerror}; --output FILE writes "
            "elsewhere, --no-write leaves the checkpoint alone"
        ) from None
    partial_path(measurement).unlink(missing_ok=True)


def _check_shape(subject: Subject, shape: tuple[int, ...]) -> None:
    if shape != subject.image_shape:
        expected, found = ("x".join(map(str, size)) for size in (subject.image_shape, shape))
        raise EvaluationError(
            f"{subject.path} is of images {expected}, the data are {found}: "
            "name the data set that it was trained on"
        )
