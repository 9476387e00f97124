"""How fast a backlog is worked off, so that whoever is refused is told when to come back."""

import math
from collections.abc import Mapping

from service.vae.operations import Operation

# How much one batch changes what is known.
WEIGHT = 0.1


class Pace:
    """Items a second of each operation, on all lanes together.

    A backlog is worked off in large batches, so small ones, which cost more an item, teach nothing.

    Args:
        num_lanes: How many batches run side by side.
        full: The smallest batch of each operation that teaches, in items.
        seconds: What such a batch takes, where it was measured.
    """

    def __init__(
        self,
        num_lanes: int,
        full: Mapping[Operation, int],
        seconds: Mapping[Operation, float] | None = None,
    ) -> None:
        self._num_lanes = num_lanes
        self._full = dict(full)
        self._items_per_second: dict[Operation, float] = {}
        for operation, took in (seconds or {}).items():
            self.learn(operation, self._full[operation], took)

    def learn(self, operation: Operation, num_items: int, seconds: float) -> None:
        """Take a batch into account that took so long."""
        if num_items < self._full[operation]:
            return
        speed = self._num_lanes * num_items / max(seconds, 1e-6)
        known = self._items_per_second.setdefault(operation, speed)
        self._items_per_second[operation] = known + WEIGHT * (speed - known)

    def shrink(self, operation: Operation, max_items: int) -> None:
        """Learn from smaller batches from now on, because there will be no larger ones."""
        self._full[operation] = min(max_items, self._full[operation])

    def seconds(self, waiting: Mapping[Operation, int]) -> float:
        """How long it takes to work off so many items of each operation; what is not known counts nothing."""
        speeds = self._items_per_second
        return sum(num / speeds.get(operation, math.inf) for operation, num in waiting.items() if num)
