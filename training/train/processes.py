"""How many processes train together, and on how many machines: as torchrun says, or the config."""

import os
from typing import NamedTuple

from training.config import Config


class Processes(NamedTuple):
    """Those of one run.

    Attributes:
        num_devices: On each node, one process each.
        num_nodes: Machines.
    """

    num_devices: int
    num_nodes: int

    @property
    def world_size(self) -> int:
        """All of them."""
        return self.num_devices * self.num_nodes


def processes(config: Config) -> Processes:
    """torchrun's, where it has started this process; else `machine.devices` on this machine.

    See https://docs.pytorch.org/docs/stable/elastic/run.html#environment-variables.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return Processes(config.machine.devices, 1)
    num_devices = int(os.environ["LOCAL_WORLD_SIZE"])
    return Processes(num_devices, int(os.environ["WORLD_SIZE"]) // num_devices)
