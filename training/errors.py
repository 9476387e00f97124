"""What can go wrong in training, each with the remedy in its message; `__main__` prints it in one line.

TrainingError
├── ConfigError        a preset, a key or a value that cannot be used
├── DataError          a folder that is missing, empty or not laid out as announced
├── TrainingDiverged   the loss is no longer a number
├── RunStopped         a signal came, such as Ctrl-C; what was done is saved
├── ExportError        a network that cannot become a checkpoint the service would accept
└── EvaluationError    a checkpoint that cannot be measured, or not on these images
    └── NotComputable  one figure that has no meaning here; the others have
"""


class TrainingError(Exception):
    """Root of the tree."""


class ConfigError(TrainingError):
    """A preset, a key or a value cannot be used; the message names the nearest right one."""


class DataError(TrainingError):
    """The images cannot be read; the message names the folder or the file."""


class TrainingDiverged(TrainingError):
    """The loss is no longer a number; the message names the step."""


class RunStopped(TrainingError):
    """A signal stopped the run; the message says where it was saved and how to go on.

    Attributes:
        signal_number: Of the signal.
    """

    def __init__(self, message: str, *, signal_number: int) -> None:
        super().__init__(message)
        self.signal_number = signal_number


class ExportError(TrainingError):
    """The network cannot become a checkpoint that the service would accept."""


class EvaluationError(TrainingError):
    """The checkpoint cannot be measured, or not on these images; the message says with what it could be."""


class NotComputable(EvaluationError):
    """One figure cannot be computed of this checkpoint and these images; the message says why."""
