"""On CUDA: the floor is a CUDA graph replayed in a loop; replicas of the service share the one GPU."""

import statistics
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from service import checkpoint
from service.vae.precision import Precision
from tests.benchmarks import load
from tests.benchmarks.bare import BareModule
from tests.benchmarks.checkpoints import AS_WRITTEN, FAST
from tests.benchmarks.plan import Plan
from tests.benchmarks.servers import service
from tests.benchmarks.workloads import sample

SIZES = (1, 16, 64, 256)
PRECISIONS = (Precision.FLOAT32, Precision.TF32, Precision.BFLOAT16, Precision.FLOAT16)
REPLICAS = (1, 2, 4, 8)
CLIENTS = 32
NUM_REPLAYS = 200


def measure(paths: Mapping[str, Path], plan: Plan) -> dict[str, Any] | None:
    """Bare graphs, copies and replicas; None without a GPU, which the report calls not yet measured."""
    if not torch.cuda.is_available() or plan.device == "cpu":
        return None
    device = torch.device("cuda" if plan.device == "auto" else plan.device)
    rows = []
    for form in (AS_WRITTEN, FAST):
        loaded = checkpoint.load(paths[form])
        for precision in PRECISIONS:
            plan.say(f"gpu: {form}, {precision}")
            module = BareModule(loaded, device, precision)
            for size in SIZES:
                times = _graph_seconds(module, loaded.metadata.latent_dim, size, device)
                rows.append({"form": form, "precision": str(precision), "size": size, **times})
    replicas = [_replicas(paths[FAST], num, plan) for num in REPLICAS]
    return {"graphs": rows, "replicas": replicas}


def _graph_seconds(module: BareModule, latent_dim: int, size: int, device: torch.device) -> dict[str, float]:
    """Seconds of one replay, and of the copies before and after it (pinned memory)."""
    host_z = torch.randn(size, latent_dim).pin_memory()
    z = host_z.to(device)
    stream = torch.cuda.Stream(device)
    with torch.inference_mode(), torch.cuda.stream(stream):
        for _ in range(3):
            module.decode(z)
        stream.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            images = module.decode(z).permute(0, 2, 3, 1).contiguous()
        host_images = torch.empty(images.shape, dtype=images.dtype, pin_memory=True)
        return {
            "replay_seconds": _timed(graph.replay, stream),
            "h2d_seconds": _timed(lambda: z.copy_(host_z, non_blocking=True), stream),
            "d2h_seconds": _timed(lambda: host_images.copy_(images, non_blocking=True), stream),
        }


def _timed(call: Callable[[], object], stream: torch.cuda.Stream) -> float:
    """Seconds of a call, from events around many on one stream; the median of five such rows."""
    rows = []
    for _ in range(5):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record(stream)
        for _ in range(NUM_REPLAYS):
            call()
        end.record(stream)
        end.synchronize()
        rows.append(start.elapsed_time(end) / 1000 / NUM_REPLAYS)
    return statistics.median(rows)


def _replicas(path: Path, num: int, plan: Plan) -> dict[str, Any]:
    """So many servers on one GPU, each under its own load of n=16, all at once."""
    plan.say(f"gpu: {num} replicas")
    seen: list[load.Load] = []
    with ExitStack() as running:
        servers = [running.enter_context(service(path, device=plan.device)) for _ in range(num)]

        def drive(number: int) -> None:
            seen.append(load.run(servers[number], sample(16), clients=CLIENTS, seconds=plan.load_seconds))

        threads = [threading.Thread(target=drive, args=(number,)) for number in range(num)]
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.perf_counter() - started
    return {
        "replicas": num,
        "images_per_second": sum(16 * one.requests_per_second for one in seen),
        "num_errors": sum(one.num_errors for one in seen),
        "server_cores": sum(one.server_cores for one in seen),
        "seconds": took,
    }
