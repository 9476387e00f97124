"""What a run logged while it trained, read from its TensorBoard files."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
    EventAccumulator,
)

Float64Array = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Curve:
    """One figure over the steps of the optimizer.

    Attributes:
        steps: float64 (N,), growing.
        values: float64 (N,).
    """

    steps: Float64Array
    values: Float64Array

    def averaged(self, max_points: int) -> "Curve":
        """No more points than that, each the mean of neighbours: a line where there was a band of noise."""
        num_points = min(max_points, len(self.steps))
        steps, values = (np.array_split(numbers, num_points) for numbers in (self.steps, self.values))
        return Curve(np.array([part.mean() for part in steps]), np.array([part.mean() for part in values]))


@dataclasses.dataclass(frozen=True)
class Log:
    """All curves of a run by their name in TensorBoard, and the time that was spent on it in all."""

    curves: Mapping[str, Curve]
    seconds: float


def read_log(folder: Path) -> Log | None:
    """Read every event file of a run; None where there is none.

    A run that was resumed has several: where two tell of the same step, the later one counts, and the time
    between them does not.
    """
    points: dict[str, dict[int, float]] = {}
    seconds = 0.0
    for file in sorted(folder.glob("events.out.tfevents.*"), key=lambda path: (path.stat().st_mtime, path)):
        events = EventAccumulator(str(file), size_guidance={"scalars": 0}).Reload()
        times = []
        for tag in events.Tags()["scalars"]:
            scalars = events.Scalars(tag)
            points.setdefault(tag, {}).update({scalar.step: scalar.value for scalar in scalars})
            times += [scalar.wall_time for scalar in scalars]
        seconds += max(times) - min(times) if times else 0.0
    curves = {tag: _curve(values) for tag, values in points.items()}
    _add_training_elbo(curves)
    return Log(curves, seconds) if curves else None


def _curve(points: Mapping[int, float]) -> Curve:
    steps = sorted(points)
    return Curve(np.array(steps, np.float64), np.array([points[step] for step in steps], np.float64))


def _add_training_elbo(curves: dict[str, Curve]) -> None:
    """elbo = -distortion - rate, at the steps where both were logged; the run logs only the two."""
    if "train/elbo" in curves or not {"train/distortion", "train/rate"} <= curves.keys():
        return
    distortion, rate = curves["train/distortion"], curves["train/rate"]
    steps, first, second = np.intersect1d(distortion.steps, rate.steps, return_indices=True)
    curves["train/elbo"] = Curve(steps, -distortion.values[first] - rate.values[second])
