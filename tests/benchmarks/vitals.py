"""What a process holds, from /proc: memory, descriptors, threads; and whether it holds more and more."""

import dataclasses
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

MEGABYTE = 1e6


@dataclasses.dataclass(frozen=True)
class Vitals:
    """At one moment.

    Attributes:
        seconds: When, by time.monotonic.
        rss_bytes: Resident memory.
        num_descriptors: Open files, sockets and the like.
        num_threads: Of the process.
    """

    seconds: float
    rss_bytes: int
    num_descriptors: int
    num_threads: int


def vitals(pid: int) -> Vitals:
    """Look at a process now."""
    folder = Path("/proc") / str(pid)
    status = _status(pid)
    return Vitals(
        seconds=time.monotonic(),
        rss_bytes=int(status["VmRSS"].split()[0]) * 1024,
        num_descriptors=len(os.listdir(folder / "fd")),  # noqa: PTH208  only counted
        num_threads=int(status["Threads"]),
    )


def growth_megabytes_a_minute(seen: Sequence[Vitals]) -> float:
    """The slope of the straight line that fits resident memory best (least squares)."""
    minutes = [one.seconds / 60 for one in seen]
    megabytes = [one.rss_bytes / MEGABYTE for one in seen]
    return float(np.polynomial.Polynomial.fit(minutes, megabytes, 1).convert().coef[1])


def reset_peak_rss(pid: int) -> None:
    """Make the kernel forget the most memory that a process has held (Linux; proc_pid_clear_refs(5))."""
    (Path("/proc") / str(pid) / "clear_refs").write_text("5")


def peak_rss_bytes(pid: int) -> int:
    """The most memory that a process has held, since it was started or this was reset."""
    return int(_status(pid)["VmHWM"].split()[0]) * 1024


def _status(pid: int) -> dict[str, str]:
    lines = (Path("/proc") / str(pid) / "status").read_text().splitlines()
    return dict(line.split(":", 1) for line in lines)
