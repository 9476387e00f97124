"""What trains: processes, machines and devices, as torchrun says or the config."""

import os
from typing import NamedTuple

import torch

from training.config import Config
from training.errors import ConfigError


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


def accelerator(config: Config) -> str:
    """cpu, cuda or mps: what the config says, or the best that is there.

    Raises:
        ConfigError: It is not there, or not as often as processes are to train on it.
    """
    available = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    wanted: str = config.machine.device
    if wanted == "auto":
        wanted = next((name for name, number in available.items() if number), "cpu")
    num_processes = processes(config).num_devices
    if wanted != "cpu" and num_processes > available[wanted]:
        problem = f"{num_processes} {wanted} devices are wanted and {available[wanted]} are here"
        remedy = f"--devices {available[wanted]}" if available[wanted] else "--device cpu"
        raise ConfigError(f"{problem}: use {remedy}")
    return wanted
