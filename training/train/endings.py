"""What is said of a run that ends before its time: one line, with what can be done about it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from training.config import Config
from training.errors import RunStopped, TrainingDiverged, TrainingError
from training.train.run_folder import RunFolder


@contextmanager
def told_in_one_line(folder: RunFolder, *, config: Config) -> Iterator[None]:
    """Add to what goes wrong while a run is trained how it is resumed.

    Raises:
        RunStopped: Ctrl-C was pressed twice.
        TrainingDiverged: With the command that goes on at a smaller learning rate.
        TrainingError: A file cannot be written, as on a full disk, or a batch is too small for BatchNorm.
    """
    try:
        yield
    except (SystemExit, KeyboardInterrupt):  # Lightning makes the one of the other
        raise RunStopped(f"stopped at once; {_go_on(folder)}", signal_number=signal.SIGINT) from None
    except TrainingDiverged as error:
        smaller = f" --lr {config.optimizer.learning_rate / 5:g}"
        raise TrainingDiverged(f"{error}; {_go_on(folder, flags=smaller)}") from None
    except OSError as error:
        where = error.filename or folder.root
        problem = f"{where} cannot be written: {error.strerror or error}"
        raise TrainingError(f"{problem}; make room there, then {_go_on(folder)}") from None
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise TrainingError(
            "a batch of one image is too small for BatchNorm in this network: "
            "use --batch-size 2 or more, and at least two training images for each process"
        ) from None


def _go_on(folder: RunFolder, *, flags: str = "") -> str:
    if not folder.last.exists():
        return "nothing was saved yet: start again without --resume"
    return f"go on from what was last saved with: {folder.resume_command}{flags}"
