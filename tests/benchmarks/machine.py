"""The machine that is measured on: what kind it is, and who uses its cores."""

import os
import platform
from pathlib import Path
from typing import Any

import torch

FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16", "amx_int8", "sve", "bf16")
TICKS = os.sysconf("SC_CLK_TCK")


def describe() -> dict[str, Any]:
    """What decides the figures, and nothing that names this one machine."""
    present = set(_cpuinfo("flags").split() or _cpuinfo("Features").split())
    return {
        "cpu": _cpu_name(),
        "cores": num_cores(),
        "flags": [flag for flag in FLAGS if flag in present],
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def num_cores() -> int:
    """Cores that this process may use, a cgroup's quota observed."""
    cores = len(os.sched_getaffinity(0))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return cores
    return cores if quota == "max" else max(1, min(cores, round(int(quota) / int(period))))


def busy_core_seconds() -> float:
    """Core seconds that all processes of the machine have used (and that a hypervisor took) since boot."""
    line = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    user, nice, system, _, _, irq, softirq, steal = (int(value) for value in line[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS


def session_core_seconds(session: int) -> float:
    """Core seconds that the processes of one session have used."""
    return sum(int(fields[11]) + int(fields[12]) for _, fields in _processes(session)) / TICKS


def session_rss_bytes(session: int) -> int:
    """Resident memory of the processes of one session; what forked ones share counts once for each."""
    pages = sum(int(fields[21]) for _, fields in _processes(session))
    return pages * os.sysconf("SC_PAGE_SIZE")


def session_pids(session: int) -> list[int]:
    """The processes of one session."""
    return [pid for pid, _ in _processes(session)]


def _processes(session: int) -> list[tuple[int, list[str]]]:
    """Every process of a session with the fields of /proc/PID/stat that follow its name."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        if int(fields[3]) == session:
            found.append((int(path.parent.name), fields))
    return found


def _cpu_name() -> str:
    """The model's name, with family and model where a hypervisor hides it."""
    name = _cpuinfo("model name") or platform.processor() or platform.machine()
    family, model = _cpuinfo("cpu family"), _cpuinfo("model")
    return f"{name} (family {family}, model {model})" if family else name


def _cpuinfo(key: str) -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""
