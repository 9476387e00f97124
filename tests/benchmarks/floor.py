"""The floor: the bare module and the codecs in a loop, without server, queue or HTTP.

Times of one thread are CPU times, taken while every other core does the same, so that other work on the
machine counts little and what cores share (caches, memory) counts; those of all cores are wall times.
"""

import base64
import dataclasses
import io
import statistics
import threading
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson
import torch

from service import checkpoint
from service.metadata import Metadata
from service.scripted import VAEModule, as_vae
from service.vae.images import ImageLimits, check_image
from service.vae.noise import draw_noise
from service.vae.png import encode_png
from service.vae.precision import Precision, native_precisions
from tests.benchmarks import pictures
from tests.benchmarks.bare import BareModule
from tests.benchmarks.checkpoints import AS_WRITTEN, FAST
from tests.benchmarks.machine import num_cores
from tests.benchmarks.plan import ALL, LANES, ONE, Plan

UNFROZEN = f"{AS_WRITTEN}, unfrozen"

MIN_RUNS = 5


@dataclasses.dataclass(frozen=True)
class Codecs:
    """CPU seconds, on one core, of what is not the network; for one image where nothing else is said."""

    noise: float
    encode_png: float
    decode_image: float
    images_json: float
    images_zip: float
    posterior_json: float
    png_bytes: int


def measure(paths: Mapping[str, Path], plan: Plan) -> dict[str, Any]:
    """Every form, precision and size, and the codecs.

    Returns:
        `model`: one row a measurement; `codecs`: the fields of Codecs.
    """
    loaded = {form: checkpoint.load(path) for form, path in paths.items()}
    plan.say("floor: codecs")
    rows = []
    for form, precision, module in _placed(loaded, torch.device("cpu")):
        for operation, run in _operations(module, loaded[FAST].metadata.image_shape).items():
            for size in plan.sizes:
                plan.say(f"floor: {form}, {precision}, {operation}, batch {size}")
                for threads in plan.threads:
                    seconds = _seconds(run, size, threads, plan.floor_seconds)
                    rows.append(
                        {
                            "form": form,
                            "precision": precision,
                            "operation": operation,
                            "threads": threads,
                            "size": size,
                            "items_per_second": size / seconds,
                        }
                    )
    return {"model": rows, "codecs": dataclasses.asdict(_codecs(loaded[FAST], plan))}


def core_seconds(floor: Mapping[str, Any], workload: str, *, form: str, precision: str) -> float:
    """Seconds of one core that a request needs at least: the network at its best size, and the codecs.

    Args:
        precision: Of decoding; encoding is float32, as the service does it unless told otherwise.
    """
    cores = num_cores()
    decode = cores / best(floor, "decode", form=form, precision=precision)
    encode = cores / best(floor, "encode", form=form, precision=Precision.FLOAT32)
    codecs = floor["codecs"]
    if workload.startswith("sample"):
        num = int(workload.split("n=")[1].split()[0])
        kind = workload.rpartition(" ")[2]
        return num * (decode + codecs["noise"] + codecs["encode_png"] + codecs[f"images_{kind}"])
    if workload == "encode":
        return codecs["decode_image"] + encode + codecs["posterior_json"]
    return codecs["decode_image"] + encode + decode + codecs["encode_png"] + codecs["images_json"]


def best(
    floor: Mapping[str, Any], operation: str, *, form: str, precision: str, threads: str = LANES
) -> float:
    """Items a second at the best batch size."""
    wanted = (operation, form, precision, threads)
    keys = ("operation", "form", "precision", "threads")
    return max(row["items_per_second"] for row in floor["model"] if tuple(row[key] for key in keys) == wanted)


def fastest_precision(floor: Mapping[str, Any], form: str) -> str:
    """What `auto` should take for decoding."""
    precisions = sorted({row["precision"] for row in floor["model"] if row["form"] == form})
    return max(precisions, key=lambda precision: best(floor, "decode", form=form, precision=precision))


def _placed(
    loaded: Mapping[str, checkpoint.Checkpoint], device: torch.device
) -> list[tuple[str, str, VAEModule]]:
    placed: list[tuple[str, str, VAEModule]] = [(UNFROZEN, "float32", as_vae(loaded[AS_WRITTEN].module))]
    for form, content in loaded.items():
        for precision in native_precisions(device):
            placed.append((form, str(precision), BareModule(content, device, precision)))
    return placed


def _operations(
    module: VAEModule, image_shape: tuple[int, int, int]
) -> dict[str, Callable[[int], Callable[[], object]]]:
    """For each operation, from a batch size to the call that is timed."""

    def decode(size: int) -> Callable[[], object]:
        z = torch.randn(size, _latent_dim(module, image_shape))
        return lambda: module.decode(z)

    def encode(size: int) -> Callable[[], object]:
        height, width = image_shape[1:]
        # As the service holds them: rows of pixels, seen by the network as (B, C, H, W).
        images = torch.randint(256, (size, height, width, image_shape[0]), dtype=torch.uint8)
        return lambda: module.encode(images.permute(0, 3, 1, 2))

    return {"decode": decode, "encode": encode}


def _latent_dim(module: VAEModule, image_shape: tuple[int, int, int]) -> int:
    with torch.inference_mode():
        mu, _ = module.encode(torch.zeros(1, *image_shape, dtype=torch.uint8))
    return mu.shape[1]


def _seconds(make: Callable[[int], Callable[[], object]], size: int, threads: str, seconds: float) -> float:
    """Seconds a batch takes, with all lanes counted as one."""
    call = make(size)
    if threads == ALL:
        torch.set_num_threads(num_cores())
        try:
            with torch.inference_mode():
                return statistics.median(_times(call, seconds, time.perf_counter))
        finally:
            torch.set_num_threads(1)
    num_lanes = 1 if threads == ONE else num_cores()
    return _cpu_seconds(call, num_lanes, seconds) / num_lanes


def _cpu_seconds(call: Callable[[], object], num_lanes: int, seconds: float) -> float:
    """CPU seconds of a call on one thread while as many other threads as there are lanes left do the same."""
    times: list[float] = []

    def work() -> None:
        torch.set_num_threads(1)
        with torch.inference_mode():
            times.extend(_times(call, seconds, time.thread_time))

    lanes = [threading.Thread(target=work) for _ in range(num_lanes)]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join()
    return statistics.median(times)


def _times(call: Callable[[], object], seconds: float, clock: Callable[[], float]) -> list[float]:
    """The time of each of many calls, after warm ones: TorchScript compiles in the first two."""
    for _ in range(3):
        call()
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < MIN_RUNS:
        started = clock()
        call()
        times.append(clock() - started)
    return times


def _codecs(loaded: checkpoint.Checkpoint, plan: Plan) -> Codecs:
    """Measured on 16 images of the network, as in a request of n=16, and divided."""
    num, seconds = 16, plan.floor_seconds
    latent_dim, picture = loaded.metadata.latent_dim, pictures.jpeg()
    with torch.inference_mode():
        z = torch.from_numpy(draw_noise(0, num, latent_dim))
        images = as_vae(loaded.module).decode(z).permute(0, 2, 3, 1).contiguous().numpy()
    texts = [{"Seed": "123456789012", "Index": str(i), "Model": f"benchmark {i:012d}"} for i in range(num)]
    files = encode_png(images, texts)
    mu = draw_noise(0, 1, latent_dim)[0]

    def cost(call: Callable[[], object], count: int) -> float:
        return _cpu_seconds(call, num_cores(), seconds) / count

    return Codecs(
        noise=cost(lambda: draw_noise(7, num, latent_dim), num),
        encode_png=cost(lambda: encode_png(images, texts), num),
        decode_image=cost(lambda: _decode_image(picture, loaded.metadata), 1),
        images_json=cost(lambda: _images_json(files), num),
        images_zip=cost(lambda: _images_zip(files), num),
        posterior_json=cost(lambda: _posterior_json(mu), 1),
        png_bytes=sum(map(len, files)) // num,
    )


def _decode_image(content: bytes, metadata: Metadata) -> object:
    limits = ImageLimits(max_pixels=10**7, max_side=10**4, max_decode_bytes=10**8)
    checked = check_image(
        content, metadata.preprocessing, metadata.image_shape, limits=limits, media_type="image/jpeg"
    )
    return checked.pixels()


def _images_json(files: list[bytes]) -> bytes:
    """The bare minimum of an answer with images."""
    rows = [{"index": i, "b64_json": base64.b64encode(file).decode()} for i, file in enumerate(files)]
    return orjson.dumps({"model": "benchmark", "created": 0, "seed": 0, "data": rows})


def _images_zip(files: list[bytes]) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as target:
        for index, file in enumerate(files):
            target.writestr(zipfile.ZipInfo(f"sample_{index:03d}.png"), file)
    return archive.getvalue()


def _posterior_json(values: object) -> bytes:
    row = {"index": 0, "mu": values, "log_var": values}
    return orjson.dumps({"model": "benchmark", "data": [row]}, option=orjson.OPT_SERIALIZE_NUMPY)
