"""The section on how the training went."""

from training.report.charts import EpochAxis, curve_chart, learning_rate_chart
from training.report.curves import Curve, Log
from training.report.figures import MEANINGS, readable
from training.report.section import Panel, Section
from training.report.subject import Subject

LOGGED = ("elbo", "distortion", "rate", "mse")
TEXT = (
    "Training figures are means of some batches each, validation figures of all images that are not trained "
    "on. The dotted line is the epoch that was exported. What is far outside, as the first steps are, is "
    "not shown."
)
NO_CURVES = (
    "There are no curves: no TensorBoard files lie beside the checkpoint. Report on the run folder that it "
    "came from to see them."
)


def curve_section(subject: Subject) -> Section:
    """ELBO, distortion, rate, MSE and learning rate over the epochs, as far as the run logged them."""
    panels: list[Panel] = []
    if subject.log is not None:
        panels = [panel for name in LOGGED if (panel := _panel(name, subject, subject.log)) is not None]
        rates = [name for name in subject.log.curves if name.startswith("lr-")]
        panels += [_learning_rate(name, subject, subject.log) for name in rates[:1]]
    text = TEXT if panels else NO_CURVES
    return Section("training", "Training", text, tuple(panels), layout="thirds")


def _panel(name: str, subject: Subject, log: Log) -> Panel | None:
    train, validation = log.curves.get(f"train/{name}"), log.curves.get(f"val/{name}")
    if train is None and validation is None:
        return None
    meaning = MEANINGS[name]
    chart = curve_chart(
        meaning.label,
        meaning.unit,
        train=train,
        validation=validation,
        axis=_axis(subject),
    )
    alt = f"{meaning.label} over the epochs: " + ", ".join(
        f"{kind} {_course(curve)}"
        for kind, curve in (("training", train), ("validation", validation))
        if curve is not None
    )
    return Panel(f"training-{name.replace('_', '-')}", chart, f"{alt} {meaning.unit}.", meaning.text)


def _learning_rate(name: str, subject: Subject, log: Log) -> Panel:
    curve = log.curves[name]
    chart = learning_rate_chart(curve, axis=_axis(subject))
    alt = f"Learning rate over the epochs: {_course(curve)}."
    optimizer = name.removeprefix("lr-").partition("/")[0]  # groups of its weights have the same rate
    return Panel("training-learning-rate", chart, alt, f"Of the optimizer, {optimizer}.")


def _axis(subject: Subject) -> EpochAxis:
    provenance = subject.checkpoint.metadata.provenance
    epochs = provenance.epochs or 1
    return EpochAxis(steps_an_epoch=(provenance.steps or 1) / epochs, exported=epochs)


def _course(curve: Curve) -> str:
    return f"from {readable(float(curve.values[0]))} to {readable(float(curve.values[-1]))}"
