"""Whether a run can go on: with its own last checkpoint, and its own config but for what may change."""

from training.config import Config, leaves
from training.errors import ConfigError
from training.export import stored_config
from training.run_folder import RunFolder

CHANGEABLE = ("optimizer.epochs", "optimizer.learning_rate", "data.root")


def may_change(key: str) -> bool:
    """Whether a resumed run may have another value of a config's dotted key."""
    return key in CHANGEABLE or key.startswith("machine.")


def check_resumable(folder: RunFolder, *, config: Config) -> None:
    """See that the last checkpoint is one of this run.

    Raises:
        TrainingError: There is none, or it is damaged.
        ConfigError: It belongs to another run; the first difference is named.
    """
    folder.stored_config()
    stored = dict(leaves(stored_config(folder.last).model_dump(mode="json")))
    for key, value in leaves(config.model_dump(mode="json")):
        if key != "name" and not may_change(key) and stored.get(key) != value:
            raise ConfigError(
                f"{folder.last} was trained with {key} = {stored.get(key)}, not {value}: "
                "it is not of this run"
            )
