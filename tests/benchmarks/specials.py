"""What a throughput does not show: starting, one client alone, neighbours, and memory in the long run."""

import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from service import checkpoint
from service.scripted import VAEModule
from service.vae.precision import Precision
from tests.benchmarks import load
from tests.benchmarks.bare import BareModule
from tests.benchmarks.checkpoints import FAST
from tests.benchmarks.plan import Plan
from tests.benchmarks.servers import Server, service
from tests.benchmarks.workloads import sample

NUM_STARTS = 3
NUM_BARE_CALLS = 300
GROWTH_CLIENTS = 32


def measure(paths: Mapping[str, Path], precision: str, plan: Plan) -> dict[str, Any]:
    """Every special figure of the service on the fast form.

    Args:
        precision: What `auto` decodes in, for the bare module.
    """
    found = _start(paths[FAST], plan)
    with service(paths[FAST], device=plan.device) as server:
        server.ask(sample(1))
        found["alone"] = _alone(server, paths[FAST], precision, plan)
        found["beside"] = _beside(server, plan)
        if plan.num_growth_requests:
            found["growth"] = _growth(server, plan)
    return found


def _start(path: Path, plan: Plan) -> dict[str, Any]:
    """Seconds from starting the process to ready, warm page cache, and memory then."""
    seconds, rss = [], []
    for number in range(NUM_STARTS):
        plan.say(f"specials: start {number + 1} of {NUM_STARTS}")
        with service(path, device=plan.device) as server:
            seconds.append(server.seconds_to_ready)
            rss.append(server.rss_bytes())
    return {"start_seconds": seconds, "start_rss_bytes": max(rss)}


def _alone(server: Server, path: Path, precision: str, plan: Plan) -> dict[str, Any]:
    """One client's n=1, and the bare module with batch 1, in turns."""
    loaded = checkpoint.load(path)
    module = BareModule(loaded, torch.device("cpu"), Precision(precision))
    z = torch.from_numpy(loaded.golden.z[:1])
    torch.set_num_threads(1)
    asked, bare = [], []
    for number in range(2 * plan.num_rounds):
        plan.say(f"specials: one client, round {number + 1} of {2 * plan.num_rounds}")
        asked.append(load.run(server, sample(1), clients=1, seconds=plan.search_seconds).p50_seconds)
        bare.append(_bare_seconds(module, z))
    return {"sample_p50_seconds": min(asked), "bare_p50_seconds": min(bare), "rounds": [asked, bare]}


def _bare_seconds(module: VAEModule, z: torch.Tensor) -> float:
    """Median seconds of decoding one latent on one thread."""
    times = []
    with torch.inference_mode():
        for _ in range(NUM_BARE_CALLS):
            started = time.perf_counter()
            module.decode(z)
            times.append(time.perf_counter() - started)
    return statistics.median(times)


def _beside(server: Server, plan: Plan) -> dict[str, Any]:
    """The p99 of one client's n=1 alone, and with another client's n=64 beside it, in turns."""
    alone, beside = [], []
    for number in range(plan.num_rounds):
        plan.say(f"specials: n=1 beside n=64, round {number + 1} of {plan.num_rounds}")
        alone.append(load.run(server, sample(1), clients=1, seconds=plan.load_seconds).p99_seconds)
        with load.sending(server, sample(64), clients=1, seconds=plan.load_seconds + 2):
            beside.append(load.run(server, sample(1), clients=1, seconds=plan.load_seconds).p99_seconds)
    return {"alone_p99_seconds": statistics.median(alone), "beside_p99_seconds": statistics.median(beside)}


def _growth(server: Server, plan: Plan) -> dict[str, Any]:
    """Memory after every few seconds of n=1; the first tenth of the requests counts as warming up."""
    done, rss = 0, []
    while done < plan.num_growth_requests:
        plan.say(f"specials: memory, {done:,} of {plan.num_growth_requests:,} requests")
        seen = load.run(server, sample(1), clients=GROWTH_CLIENTS, seconds=5)
        done += seen.requests
        rss.append({"requests": done, "rss_bytes": seen.rss_bytes})
    warm = next(row for row in rss if row["requests"] >= plan.num_growth_requests / 10)
    return {"rss": rss, "growth_bytes": rss[-1]["rss_bytes"] - warm["rss_bytes"]}
