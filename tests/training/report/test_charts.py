"""Charts show what there is: also a run of one epoch, of which each curve has a single point."""

import numpy as np
import torch

from training.report.charts import EpochAxis, curve_chart, learning_rate_chart, scatter_chart
from training.report.classes import Classes
from training.report.curves import Curve


def test_a_single_point_is_a_dot_within_the_axes() -> None:
    axis = EpochAxis(steps_an_epoch=4, exported=1)
    validation = Curve(steps=np.array([3]), values=np.array([-5.0]))
    figure = curve_chart("ELBO", "nats", train=None, validation=validation, axis=axis)
    (axes,) = figure.axes
    line = next(line for line in axes.lines if line.get_label() == "validation")
    assert line.get_marker() == "o"
    assert line.get_xydata().tolist() == [[1.0, -5.0]]
    low, high = axes.get_xlim()
    assert low == 0
    assert high > 1


def test_a_long_curve_has_no_dots() -> None:
    axis = EpochAxis(steps_an_epoch=1, exported=99)
    curve = Curve(steps=np.arange(100), values=np.linspace(1, 0, 100))
    for figure in (
        curve_chart("MSE", "", train=curve, validation=curve, axis=axis),
        learning_rate_chart(curve, axis=axis),
    ):
        assert all(line.get_marker() == "None" for line in figure.axes[0].lines)


def test_a_scatter_of_many_points_sorted_by_class_shows_as_many_of_each_class() -> None:
    classes = Classes(("cats", "dogs"), torch.arange(5000) // 2500)
    points = torch.stack([classes.indices, torch.rand(5000)], dim=1)
    figure = scatter_chart("", points, axis_labels=("", ""), classes=classes)
    shown = {str(line.get_label()): line.get_xdata().tolist() for line in figure.axes[0].lines}
    assert shown == {"cats": [0.0] * 1000, "dogs": [1.0] * 1000}
