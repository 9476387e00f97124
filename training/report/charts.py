"""Figures drawn by matplotlib: curves, bars, a histogram, a scatter.

Their colours are placeholders too: training.report.svg makes them follow the page, light or dark.

Shapes: N images, D latent size.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from service.scripted import Float32Array
from training.data.splits import evenly_spaced
from training.report.classes import Classes
from training.report.curves import Curve, Float64Array

INK, SOFT, LINE, CARD = "#1c1f26", "#59616f", "#dfe3ea", "#fdfdfe"
BLUE, ORANGE = "#2460c4", "#b8500a"
# After Okabe and Ito, of a lightness that stands out on white and on black; the classes are labelled besides.
CLASS_COLOURS = (
    "#c98500", "#2f9fd8", "#009e73", "#9a9500", "#5b74e0",
    "#d8531a", "#cc5fa3", "#858b97", "#9a5be0", "#a06a42",
)  # fmt: skip
STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 8.5,
    "text.color": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelcolor": SOFT,
    "axes.edgecolor": LINE,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": SOFT,
    "legend.frameon": False,
}
SMALL_INCHES = (3.6, 2.5)
WIDE_INCHES = (4.2, 2.8)
SQUARE_INCHES = (4.2, 4.6)
MAX_NUMBERED_UNITS = 24
MAX_MARKED_EPOCHS = 40
MAX_CURVE_POINTS = 120
MAX_SCATTER_POINTS = 2000
FEW_SCATTER_POINTS = 500
LABEL_SIZE = (0.1, 0.05)  # of a class's label, as parts of the whole extent
LABEL_BOX = {"boxstyle": "round,pad=0.15", "facecolor": CARD, "edgecolor": "none", "alpha": 0.75}
# What lies outside of the middle 98 % of the later values, as the first steps do, is left out of the picture.
SETTLED_FROM = 0.1
OUTLIERS_PERCENT = 1.0


@dataclasses.dataclass(frozen=True)
class EpochAxis:
    """The horizontal axis of a run's curves.

    Attributes:
        steps_an_epoch: Of the optimizer.
        exported: The epoch that was exported.
    """

    steps_an_epoch: float
    exported: int

    def epochs(self, curve: Curve) -> Float64Array:
        """Epochs that were over at the curve's steps, which are counted from 0."""
        return (curve.steps + 1) / self.steps_an_epoch

    def finish(self, axes: Axes) -> None:
        """Label the axis, mark what was exported with a dotted line, and add the legend."""
        axes.axvline(self.exported, color=SOFT, lw=0.9, ls=":", label="exported")
        axes.set_xlabel("epoch")
        axes.set_xlim(0, max(1.05 * self.exported, axes.get_xlim()[1]))
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=self.exported > 2))
        axes.legend(loc="best", fontsize=7.5)


@matplotlib.rc_context(STYLE)
def curve_chart(
    title: str, unit: str, *, train: Curve | None, validation: Curve | None, axis: EpochAxis
) -> Figure:
    """One figure of a run over its epochs, shown where it has settled."""
    figure, axes = _empty(SMALL_INCHES, title)
    if train is not None:
        train = train.averaged(MAX_CURVE_POINTS)
        _plot(axes, train, axis, color=ORANGE, lw=0.9, label="training")
    if validation is not None:
        marker = "o" if len(validation.steps) <= MAX_MARKED_EPOCHS else None
        _plot(axes, validation, axis, color=BLUE, lw=1.6, label="validation", marker=marker)
    axes.set_ylim(*_settled_range([curve for curve in (train, validation) if curve is not None]))
    axes.set_ylabel(unit)
    axis.finish(axes)
    return figure


@matplotlib.rc_context(STYLE)
def learning_rate_chart(curve: Curve, *, axis: EpochAxis) -> Figure:
    """The learning rate over the epochs."""
    figure, axes = _empty(SMALL_INCHES, "Learning rate")
    _plot(axes, curve, axis, color=BLUE, lw=1.6)
    axes.set_ylim(bottom=0)
    axis.finish(axes)
    return figure


@matplotlib.rc_context(STYLE)
def unit_chart(title: str, unit: str, *, values: Tensor, active: Tensor) -> Figure:
    """Bars of one value for each latent unit (D,), the largest first; those not active in another colour."""
    figure, axes = _empty(WIDE_INCHES, title)
    order = values.argsort(descending=True, stable=True)
    heights, is_active, places = values[order].numpy(), active[order].numpy(), np.arange(len(order))
    for chosen, colour, label in ((is_active, BLUE, "active"), (~is_active, ORANGE, "not active")):
        if chosen.any():
            axes.bar(places[chosen], heights[chosen], color=colour, label=f"{label} ({chosen.sum()})")
    axes.set(xlabel="units, sorted", ylabel=unit)
    axes.grid(axis="x", visible=False)
    if len(order) <= MAX_NUMBERED_UNITS:
        axes.set_xticks(places, [str(number) for number in order.tolist()])
        axes.set_xlabel("number of the unit")
    axes.set_ylim(top=1.2 * max(float(heights[0]), 1e-9))
    axes.legend(loc="upper right", ncols=2)
    return figure


@matplotlib.rc_context(STYLE)
def error_chart(mse: Tensor) -> Figure:
    """Histogram of the images' mean squared errors (N,), with their median."""
    figure, axes = _empty(WIDE_INCHES, "Error of each reconstruction")
    axes.hist(mse.numpy(), bins=min(60, max(8, len(mse) // 20)), color=BLUE)
    median = float(mse.quantile(0.5))  # of an even number between the two in the middle
    axes.axvline(median, color=ORANGE, lw=1.4, label=f"median {median:.4g}")
    axes.set(xlabel="mean squared error, pixels in [0, 1]", ylabel="images")
    axes.grid(axis="x", visible=False)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.legend(loc="upper right")
    return figure


@matplotlib.rc_context(STYLE)
def scatter_chart(
    title: str, points: Tensor, *, axis_labels: tuple[str, str], classes: Classes | None
) -> Figure:
    """Points (N, 2), 2,000 of them where there are more, coloured and labelled by class if there are any."""
    figure, axes = _empty(SQUARE_INCHES, title)
    chosen = evenly_spaced(len(points), min(MAX_SCATTER_POINTS, len(points)))
    shown = points[chosen].numpy()
    size = 3.5 if len(shown) > FEW_SCATTER_POINTS else 6
    if classes is None:
        axes.plot(*shown.T, ".", ms=size, mew=0, color=BLUE, alpha=0.7)
    else:
        indices = classes.indices[chosen].numpy()
        for index, (name, colour) in enumerate(zip(classes.names, CLASS_COLOURS, strict=False)):
            own = shown[indices == index]
            axes.plot(*own.T, ".", ms=size, mew=0, color=colour, alpha=0.85, label=name)
        for name, (x, y) in _label_places(shown, indices, names=classes.names).items():
            axes.annotate(name, (x, y), ha="center", va="center", weight="bold", bbox=LABEL_BOX)
        columns = 5 if max(map(len, classes.names)) < 4 else 3
        figure.legend(loc="outside lower center", ncols=columns, markerscale=3, handletextpad=0.2)
    axes.set_aspect("equal", adjustable="datalim")
    axes.set(xlabel=axis_labels[0], ylabel=axis_labels[1])
    return figure


def _label_places(
    points: Float32Array, indices: npt.NDArray[np.int64], *, names: Sequence[str]
) -> dict[str, Float32Array]:
    """The middle of each class, but of those that would hide another's label."""
    extent = np.ptp(points, axis=0) * LABEL_SIZE
    places: dict[str, Float32Array] = {}
    for index, name in enumerate(names):
        if not (indices == index).any():
            continue
        middle = np.median(points[indices == index], axis=0)
        if all((np.abs(middle - place) > extent).any() for place in places.values()):
            places[name] = middle
    return places


def _plot(
    axes: Axes,
    curve: Curve,
    axis: EpochAxis,
    *,
    color: str,
    lw: float,
    label: str = "",
    marker: str | None = None,
) -> None:
    """A curve; a single point, which is on no line, as a large dot."""
    marker, size = ("o", 5.0) if len(curve.steps) == 1 else (marker, 2.5)
    epochs = axis.epochs(curve)
    axes.plot(epochs, curve.values, color=color, lw=lw, label=label, marker=marker, ms=size)


def _empty(inches: tuple[float, float], title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=inches, facecolor="none", layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title)
    return figure, axes


def _settled_range(curves: Sequence[Curve]) -> tuple[float, float]:
    """Limits that show where the curves have got to, not from how far they came."""
    last = max(curve.steps[-1] for curve in curves)
    late = [curve.values[curve.steps >= SETTLED_FROM * last] for curve in curves]
    values = np.concatenate([part[np.isfinite(part)] for part in late])
    if not len(values):
        return 0.0, 1.0
    low, high = np.percentile(values, [OUTLIERS_PERCENT, 100 - OUTLIERS_PERCENT])
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin
