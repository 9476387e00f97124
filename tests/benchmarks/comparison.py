"""The service beside LitServe and a plain FastAPI handler, in alternation, so that the figures are ratios.

All servers are up at once, and all but the one whose turn it is are stopped (SIGSTOP).
"""

import importlib.util
import json
import statistics
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.benchmarks import load, machine
from tests.benchmarks.checkpoints import AS_WRITTEN, FAST
from tests.benchmarks.plan import Plan
from tests.benchmarks.servers import Server, service
from tests.benchmarks.workloads import Workload, peer_workloads

CLIENTS = 32
LITSERVE, FASTAPI = "LitServe", "FastAPI"
Settings = Mapping[str, Any]
Turn = Mapping[str, float]
BASE: Settings = {
    "max_batch_size": 8,
    "batch_timeout": 0.0,
    "workers_per_device": 1,
    "fast_queue": False,
    "torch_threads": 1,
}


def measure(paths: Mapping[str, Path], plan: Plan) -> dict[str, Any]:
    """For each workload the rounds of every server, LitServe's search, and the ratios to both peers."""
    if importlib.util.find_spec("litserve") is None:
        raise SystemExit("the comparison with peers needs LitServe: pip install litserve")
    return {workload.name: _compare(paths, workload, plan) for workload in peer_workloads()}


def _compare(paths: Mapping[str, Path], workload: Workload, plan: Plan) -> dict[str, Any]:
    tried = _search(paths[AS_WRITTEN], workload, plan)
    settings = max(tried, key=lambda row: row["requests_per_second"])["settings"]
    servers = [
        service(paths[FAST], precision="auto"),
        service(paths[FAST], precision="auto", environment={"VAE_WORKERS": str(machine.num_cores())}),
        service(paths[FAST], precision="float32"),
        service(paths[AS_WRITTEN], precision="float32"),
        _litserve(paths[AS_WRITTEN], workload, settings),
        _fastapi(paths[AS_WRITTEN], num_threads=settings["torch_threads"]),
    ]
    for server, name in zip(
        servers,
        (
            "service, auto",
            "service, auto, a worker a core",
            "service, float32",
            "service, float32, as written",
        ),
        strict=False,
    ):
        server.name = name
    turns = _rounds(servers, workload, plan)
    return {
        "searched": tried,
        "best_settings": settings,
        "turns": turns,
        "ratios": {peer: _ratios(turns, peer) for peer in (LITSERVE, FASTAPI)},
    }


def _rounds(servers: Sequence[Server], workload: Workload, plan: Plan) -> dict[str, list[Turn]]:
    """What each server did in each round: A B C A B C."""
    turns: dict[str, list[Turn]] = {server.name: [] for server in servers}
    with ExitStack() as running:
        for server in servers:
            plan.say(f"peers: {workload.name}, starting {server.name}")
            running.enter_context(server)
            server.ask(workload)
            server.pause()
        for number in range(plan.num_rounds):
            for server in servers:
                plan.say(f"peers: {workload.name}, round {number + 1} of {plan.num_rounds}, {server.name}")
                turns[server.name].append(_turn(server, workload, plan.load_seconds))
    return turns


def _turn(server: Server, workload: Workload, seconds: float) -> Turn:
    """One server's turn; `free_cores` are those that neither wrk nor anything else on the machine used."""
    server.resume()
    try:
        load.run(server, workload, clients=CLIENTS, seconds=1)
        seen = load.run(server, workload, clients=CLIENTS, seconds=seconds)
    finally:
        server.pause()
    if seen.num_errors:
        raise RuntimeError(f"{server.name} failed {seen.num_errors} requests of {workload.name}")
    free = max(0.1, machine.num_cores() - seen.wrk_cores - seen.other_cores)
    return {
        "requests_per_second": seen.requests_per_second,
        "free_cores": free,
        "server_cores": seen.server_cores,
    }


def _ratios(turns: Mapping[str, Sequence[Turn]], peer: str) -> dict[str, dict[str, float]]:
    """Of each form of the service to one peer, round by round.

    `less_others` is the median for each free core: on a machine that does nothing else, that of the rates.
    """
    ratios = {}
    for name, rows in turns.items():
        if name.startswith("service"):
            pairs = [_ratio(own, other) for own, other in zip(rows, turns[peer], strict=True)]
            rates = [rate for rate, _ in pairs]
            ratios[name] = {
                "min": min(rates),
                "median": statistics.median(rates),
                "max": max(rates),
                "less_others": statistics.median(less_others for _, less_others in pairs),
            }
    return ratios


def _ratio(own: Turn, other: Turn) -> tuple[float, float]:
    rate = own["requests_per_second"] / other["requests_per_second"]
    return rate, rate * other["free_cores"] / own["free_cores"]


def _search(path: Path, workload: Workload, plan: Plan) -> list[dict[str, Any]]:
    """LitServe's settings, one after the other changed from the best so far."""
    cores = machine.num_cores()
    steps: list[Settings] = [
        {},
        {"workers_per_device": cores},
        {"fast_queue": True},
        {"max_batch_size": 1},
        {"max_batch_size": 16},
        {"batch_timeout": 0.005},
        {"workers_per_device": 1, "torch_threads": cores},
        {"workers_per_device": 2 * cores},
    ]
    tried: list[dict[str, Any]] = []
    best = {**BASE, "requests_per_second": 0.0}
    for step in steps[: 4 if plan.is_quick else None]:
        settings = {key: {**best, **step}[key] for key in BASE}
        plan.say(f"peers: {workload.name}, trying LitServe with {settings}")
        with _litserve(path, workload, settings) as server:
            server.ask(workload)
            load.run(server, workload, clients=CLIENTS, seconds=1)
            seen = load.run(server, workload, clients=CLIENTS, seconds=plan.search_seconds)
        rate = 0.0 if seen.num_errors else seen.requests_per_second
        tried.append({"settings": settings, "requests_per_second": rate})
        if rate > best["requests_per_second"]:
            best = {**settings, "requests_per_second": rate}
    return tried


def _litserve(path: Path, workload: Workload, settings: Settings) -> Server:
    environment = {
        "BENCH_CHECKPOINT": str(path),
        "BENCH_OPERATION": workload.path.strip("/"),
        "BENCH_SETTINGS": json.dumps(settings),
        "OMP_NUM_THREADS": str(settings["torch_threads"]),
    }
    arguments = ["-m", "tests.benchmarks.peers.litserve_server", "{port}"]
    return Server(LITSERVE, arguments, environment=environment, ready_path="/health")


def _fastapi(path: Path, *, num_threads: int) -> Server:
    environment = {"BENCH_CHECKPOINT": str(path), "OMP_NUM_THREADS": str(num_threads)}
    arguments = ["-m", "tests.benchmarks.peers.fastapi_server", "{port}"]
    return Server(FASTAPI, arguments, environment=environment, ready_path="/health")
