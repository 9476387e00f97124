"""Where a run puts its files, and what becomes of an earlier run of the same name.

runs/<name>/config.yaml      the whole config
            checkpoints/     best two by val/loss, and last.ckpt
            grids/           reconstructions and standard normal samples after each validation; at the end
                             samples-served.png, from the fitted prior
            tensorboard/     the same grids, and every figure
            model.pt         the exported checkpoint
"""

import contextlib
import dataclasses
import fcntl
import math
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import yaml

from service.command_line import python
from service.whole_file import UNFINISHED, write_whole
from training.config import Config
from training.errors import DataError, TrainingError

LOSS_IN_NAME = "-loss"


@dataclasses.dataclass(frozen=True)
class RunFolder:
    """The paths of one run."""

    root: Path

    @property
    def config(self) -> Path:
        """YAML of the whole config."""
        return self.root / "config.yaml"

    @property
    def checkpoints(self) -> Path:
        """Lightning's checkpoints."""
        return self.root / "checkpoints"

    @property
    def last(self) -> Path:
        """The checkpoint that a run is resumed from."""
        return self.checkpoints / "last.ckpt"

    @property
    def grids(self) -> Path:
        """PNG files, two for each validation."""
        return self.root / "grids"

    @property
    def served_samples(self) -> Path:
        """PNG file: samples as the service draws them, from the fitted prior and not the standard normal."""
        return self.grids / "samples-served.png"

    @property
    def exported(self) -> Path:
        """The checkpoint that the service loads."""
        return self.root / "model.pt"

    @property
    def tensorboard(self) -> Path:
        """What was logged."""
        return self.root / "tensorboard"

    @property
    def resume_command(self) -> str:
        """What goes on with the run."""
        return f"{python()} -m training train --resume {self.root}"

    @contextlib.contextmanager
    def claimed(self) -> Iterator[None]:
        """Keep every other run out of the folder; also the end of its process lets go of it.

        Raises:
            TrainingError: A run is still in progress there.
        """
        folder = os.open(self.root, os.O_RDONLY)
        try:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                problem = f"a run is still in progress in {self.root}"
                raise TrainingError(f"{problem}: wait for its end, or choose another --name") from None
            except OSError:  # of a file system that cannot lock a folder
                pass
            yield
        finally:
            os.close(folder)

    def begin(self, config: Config) -> Path | None:
        """Make the folder for a new run; an earlier one is renamed, not lost, and its new name returned.

        Raises:
            TrainingError: The earlier one is still in progress.
        """
        if self.root.is_dir():
            with self.claimed():
                pass
        earlier = None
        # Also what ended before it could be resumed: its best checkpoint would be taken for one of this run.
        left = [*self.checkpoints.glob("*.ckpt"), *self.tensorboard.glob("*")]
        if left:
            newest = max(file.stat().st_mtime for file in left)
            when = datetime.fromtimestamp(newest).strftime("%Y%m%d-%H%M%S")
            earlier = self.root.rename(self.root.with_name(f"{self.root.name}.{when}"))
        self.write_config(config)
        return earlier

    def write_config(self, config: Config) -> None:
        """Keep the config in the folder, made where there is none; drop what kill -9 left half written."""
        for file in self.root.rglob(UNFINISHED):
            file.unlink()
        self.grids.mkdir(parents=True, exist_ok=True)
        content = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
        write_whole(self.config, content.encode())

    def best(self) -> Path:
        """The kept checkpoint with the smallest val/loss, which its name tells.

        Raises:
            TrainingError: The folder holds no run.
        """
        best = sorted(self.checkpoints.glob(f"epoch*{LOSS_IN_NAME}*.ckpt"), key=_loss)
        if not best:
            raise TrainingError(f"{self.root} holds no finished epoch of a run: no checkpoints/epoch*.ckpt")
        return best[0]

    def data_root(self) -> Path | None:
        """The folder of images that the run was trained on, if its config names one.

        Raises:
            DataError: It is not there any more.
        """
        try:
            root = yaml.safe_load(self.config.read_text())["data"]["root"]
        except (OSError, yaml.YAMLError, LookupError, TypeError):
            return None
        if root is not None and not Path(root).is_dir():
            raise DataError(f"the images are no longer in {root}: add --data DIR, where they are now")
        return None if root is None else Path(root)

    def stored_config(self) -> dict[str, object]:
        """The values of the run's config.

        Raises:
            TrainingError: There is no run to resume.
        """
        if self.root.is_file():
            raise TrainingError(f"{self.root} is a file: --resume takes the folder of a run")
        if not self.last.exists() or not self.config.exists():
            raise TrainingError(f"nothing to resume: {self.last} does not exist; start without --resume")
        try:
            values = yaml.safe_load(self.config.read_text())
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise TrainingError(f"{self.config} cannot be read: {str(error).splitlines()[0]}") from None
        if not isinstance(values, dict):
            raise TrainingError(f"{self.config} holds no config")
        return values


def _loss(checkpoint: Path) -> float:
    loss = float(checkpoint.stem.split(LOSS_IN_NAME)[1])
    return math.inf if math.isnan(loss) else loss
