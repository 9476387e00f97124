"""Measured figures, each with what it was measured by or the reason why it is not there."""

import dataclasses
import math

from torch import Tensor


@dataclasses.dataclass
class Figures:
    """What an evaluation has found so far.

    Attributes:
        values: By name; training.report.figures says of each what it means.
        standard_errors: Of those that are means over images.
        skipped: Figures, or groups of them, that cannot be computed here, and why.
        unit_kl: Mean KL divergence of each latent unit in nats.
        protocol: What else a reader has to know of how they were measured.
    """

    values: dict[str, float] = dataclasses.field(default_factory=dict)
    standard_errors: dict[str, float] = dataclasses.field(default_factory=dict)
    skipped: dict[str, str] = dataclasses.field(default_factory=dict)
    unit_kl: tuple[float, ...] | None = None
    protocol: dict[str, object] = dataclasses.field(default_factory=dict)

    def set(self, name: str, value: float) -> None:
        """Add one number; one that is not finite is skipped, since neither JSON nor a reader can take it."""
        if math.isfinite(value):
            self.values[name] = round(float(value), 6)
        else:
            self.skipped[name] = f"it is {value}"

    def set_mean(self, name: str, values: Tensor) -> None:
        """Add the mean of one number an image, (N,), and its standard error."""
        values = values.double()
        self.set(name, float(values.mean()))
        if len(values) > 1 and name in self.values:
            self.standard_errors[name] = round(float(values.std()) / math.sqrt(len(values)), 6)
