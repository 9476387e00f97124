"""The service under load, each workload as a fraction of its floor."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.benchmarks import floor, load, machine
from tests.benchmarks.checkpoints import AS_WRITTEN, FAST
from tests.benchmarks.plan import Plan
from tests.benchmarks.servers import Server, service
from tests.benchmarks.workloads import Workload, workloads

SETTINGS = ((FAST, "auto"), (FAST, "float32"), (AS_WRITTEN, "auto"))


def measure(paths: Mapping[str, Path], bare: Mapping[str, Any], plan: Plan) -> list[dict[str, Any]]:
    """One row for each form, precision, workload and number of clients; all clients only for the first."""
    rows = []
    for form, precision in SETTINGS[: 1 if plan.is_quick else None]:
        clients = plan.clients if (form, precision) == SETTINGS[0] else (32,)
        with service(paths[form], device=plan.device, precision=precision) as server:
            for workload in workloads():
                server.ask(workload)
                for num in clients:
                    plan.say(f"service: {form}, {precision}, {workload.name}, {num} clients")
                    seen = _run(server, workload, num, plan)
                    rows.append(_row(seen, workload, bare, form=form, precision=precision))
    return rows


def _run(server: Server, workload: Workload, num: int, plan: Plan) -> load.Load:
    load.run(server, workload, clients=num, seconds=1)
    return load.run(server, workload, clients=num, seconds=plan.load_seconds)


def _row(
    seen: load.Load, workload: Workload, bare: Mapping[str, Any], *, form: str, precision: str
) -> dict[str, Any]:
    """A run beside its floor.

    `of_floor` takes all cores for granted; `of_floor_less_wrk` takes off those that wrk used,
    `of_floor_less_others` also those that everything else on the machine used. `of_core_seconds` compares
    CPU time with CPU time, and does not see idle cores.
    """
    decoding = floor.fastest_precision(bare, form) if precision == "auto" else precision
    needed = floor.core_seconds(bare, workload.name, form=form, precision=decoding)
    cores = machine.num_cores()
    without_wrk = cores - seen.wrk_cores
    without_others = max(0.1, without_wrk - seen.other_cores)
    return {
        "form": form,
        "precision": precision,
        "workload": workload.name,
        **dataclasses.asdict(seen),
        "requests_per_second": seen.requests_per_second,
        "images_per_second": seen.requests_per_second * workload.num_images,
        "floor_requests_per_second": cores / needed,
        "of_floor": seen.requests_per_second * needed / cores,
        "of_floor_less_wrk": seen.requests_per_second * needed / without_wrk,
        "of_floor_less_others": seen.requests_per_second * needed / without_others,
        "of_core_seconds": needed / seen.server_core_seconds,
    }
