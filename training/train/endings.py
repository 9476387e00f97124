"""What is said of a run that ends before its time: one line, with what can be done about it."""

import errno
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.distributed import DistError

from training.config import Config
from training.errors import ExportError, RunStopped, TrainingDiverged, TrainingError
from training.run_folder import RunFolder

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def told_in_one_line(folder: RunFolder, *, config: Config) -> Iterator[None]:
    """Add to what goes wrong while a run is trained how it is resumed.

    Raises:
        RunStopped: Ctrl-C was pressed twice.
        TrainingDiverged: With the command that goes on at a smaller learning rate.
        TrainingError: A file cannot be written, as on a full disk; the device is full; another process has
            ended; or a batch is too small for BatchNorm.
    """
    try:
        yield
    except (SystemExit, KeyboardInterrupt):  # Lightning makes the one of the other
        raise RunStopped(f"stopped at once; {_go_on(folder)}", signal_number=signal.SIGINT) from None
    except (TrainingDiverged, OSError, RuntimeError, ValueError) as error:
        told = _told(error, folder, config)
        if told is None:
            raise
        raise told from error


@contextmanager
def told_how_to_export(folder: RunFolder) -> Iterator[None]:
    """Add to what goes wrong after a run was trained that only the export is left.

    Raises:
        RunStopped: Ctrl-C was pressed.
        ExportError: It has failed.
    """
    left = f"the network is trained; export it with: python -m training export {folder.root}"
    try:
        yield
    except KeyboardInterrupt:
        raise RunStopped(f"stopped; {left}", signal_number=signal.SIGINT) from None
    except ExportError as error:
        raise ExportError(f"{error}; {left}") from None


def _told(error: Exception, folder: RunFolder, config: Config) -> TrainingError | None:
    """None of what was not foreseen."""
    settings = config.optimizer
    match error:
        case TrainingDiverged():
            smaller = f" --lr {settings.learning_rate / 5:g}"
            return TrainingDiverged(f"{error}; {_go_on(folder, flags=smaller)}")
        case OSError():
            return TrainingError(f"{_not_written(error, folder)}, then {_go_on(folder)}")
        case torch.OutOfMemoryError():
            return TrainingError(
                f"the device has no memory for batches of {settings.batch_size}: start again with "
                f"--batch-size {max(1, settings.batch_size // 2)}, or --set machine.precision=bfloat16"
            )
        case RuntimeError() if "loading state_dict" in str(error):
            return TrainingError(
                f"{folder.last} is of another network than its config says, so another version of this code "
                "wrote it: start again without --resume"
            )
        case RuntimeError() if isinstance(error, DistError) or "gloo" in str(error):
            return TrainingError(f"another process of the run has ended, and says why; {_go_on(folder)}")
        case ValueError() if "more than 1 value per channel" in str(error):
            return TrainingError(
                "a batch of one image is too small for BatchNorm in this network: "
                "use --batch-size 2 or more, and at least two training images for each process"
            )
    return None


def _not_written(error: OSError, folder: RunFolder) -> str:
    remedy = "make room there" if error.errno in FULL else "see that it can be written"
    return f"{error.filename or folder.root} cannot be written: {error.strerror or error}; {remedy}"


def _go_on(folder: RunFolder, *, flags: str = "") -> str:
    if not folder.last.exists():
        return "start again without --resume, for nothing was saved yet"
    return f"go on from what was last saved with: {folder.resume_command}{flags}"
