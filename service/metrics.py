"""Every Prometheus metric of the service; one method an event, so that the code it counts stays readable.

Names have the prefix `vae_` and base units. Labels exist from the start, so that a rate is known before the
first failure; of the HTTP statuses, 200 and those that alerts are about.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    start_http_server,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from service.gathering import Gathering

REQUEST_OPERATIONS = ("sample", "encode", "decode", "reconstruct", "score", "interpolate")
OTHER = "other"
ALARMING = (429, 500, 503, 504)
BATCH_OPERATIONS = ("decode", "encode", "reconstruct", "score")
REJECTIONS = ("queue_full", "deadline", "not_ready")
RELOADS = ("loaded", "refused")
MEMORY_KINDS = ("allocated", "reserved")
MODEL_LABELS = ("name", "version", "sha256", "device", "precision")
DEVICE_FAILURES = ("oom", "lost", "hang", "bad_output", "other")
BUILD_LABELS = ("version", "torch", "cuda", "python")
CANCELLED_STAGES = ("queued", "running")
CODEC_STAGES = ("decode_image", "encode_image")
SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 5)
SIZES = (1, 4, 16, 64)
# OpenMetrics allows 128 characters for an exemplar's labels, names included.
MAX_EXEMPLAR_CHARACTERS = 100
# Of a format that is asked for; the library compares numbers with whatever else it finds there.
VERSION = re.compile(r"\s*[0-9]{1,9}(\.[0-9]{1,9}){0,3}\s*", re.ASCII)


class Metrics:
    """The service's metrics in a registry of their own."""

    def __init__(self) -> None:
        disable_created_metrics()  # a series each for what `process_start_time_seconds` tells
        self._registry = self._shown = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._make_request_metrics()
        self._make_batch_metrics()
        self._make_model_metrics()

    def render(self, accept: str = "") -> bytes:
        """Every metric as OpenMetrics, with exemplars, where that is asked for, or as Prometheus' text."""
        encode, _ = _encoder(accept)
        return encode(self._shown)

    def gather(self, *, folder: Path, number: int, num_workers: int) -> None:
        """Show the metrics of all workers from now on, those of this one among them; see Gathering."""
        self._shown = CollectorRegistry(auto_describe=False)
        self._shown.register(Gathering(self._registry, folder=folder, number=number, num_workers=num_workers))

    @staticmethod
    def media_type(accept: str) -> str:
        """What `render` gives."""
        return _encoder(accept)[1]

    def listen(self, host: str, port: int) -> Callable[[], None]:
        """Answer scrapes on a port of their own, from a thread of its own; what is returned ends it.

        Raises:
            OSError: The port cannot be used.
        """
        server, thread = start_http_server(port, host, self._shown)

        def close() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        return close

    def request_finished(self, operation: str, code: int, seconds: float, request_id: str) -> None:
        """Count an answered request to an operation, or to OTHER; its id becomes an exemplar."""
        self._requests.labels(operation, str(code)).inc()
        if operation != OTHER:
            is_short = len(request_id) <= MAX_EXEMPLAR_CHARACTERS
            exemplar = {"request_id": request_id} if is_short else None
            self._request_seconds[operation].observe(seconds, exemplar)

    def rejected(self, reason: str) -> None:
        """Count a request that was not worked on; `reason` is one of REJECTIONS."""
        self._rejected[reason].inc()

    def codec_finished(self, stage: str, seconds: float) -> None:
        """Count inputs made of one request's files, or its answer made; `stage` is one of CODEC_STAGES."""
        self._codec_seconds[stage].observe(seconds)

    def queued(self, change: int) -> None:
        """Say by how many items the queue of a model has changed."""
        self._queued.inc(change)

    def admitted(self, change: int) -> None:
        """Say by how many the admitted items have changed."""
        self._admitted.inc(change)

    def job_started(self, waited_seconds: float) -> None:
        """Count a job whose first item joined a batch."""
        self._queue_seconds.observe(waited_seconds)

    def job_cancelled(self, stage: str) -> None:
        """Count a job that its client left in one of CANCELLED_STAGES: before the device began, or after."""
        self._cancelled[stage].inc()

    def batch_finished(self, operation: str, num_items: int, size: int, seconds: float) -> None:
        """Count a batch of `num_items` padded to `size`."""
        self._batch_items[operation].observe(num_items)
        self._padding[operation].inc(size - num_items)
        self._device_seconds[operation].observe(seconds)

    def device_failed(self, kind: str) -> None:
        """Count a run that the device failed on; `kind` is one of DEVICE_FAILURES."""
        self._device_failures[kind].inc()

    def model_served(
        self,
        labels: Mapping[str, str],
        max_queued_items: int,
        largest_batches: Mapping[str, Callable[[], int]],
    ) -> None:
        """Name a model that is served, and add its queue's capacity.

        Args:
            labels: One value for each of MODEL_LABELS.
            max_queued_items: What its queue holds.
            largest_batches: For those of BATCH_OPERATIONS that it can, what gives the largest batch now.
        """
        self._model_info.labels(**labels).set(1)
        self._queue_capacity.inc(max_queued_items)
        for operation, largest in largest_batches.items():
            self._largest_batch.labels(labels["name"], operation).set_function(largest)

    def model_retired(self, labels: Mapping[str, str], max_queued_items: int) -> None:
        """Take back what model_served said."""
        self._model_info.remove(*(labels[name] for name in MODEL_LABELS))
        self._queue_capacity.dec(max_queued_items)
        for operation in BATCH_OPERATIONS:
            self._largest_batch.remove(labels["name"], operation)

    def built(self, labels: Mapping[str, str]) -> None:
        """Say what the service is built of."""
        self._build_info.labels(**labels).set(1)

    def device_memory_is(self, kind: str, num_bytes: Callable[[], int]) -> None:
        """Ask a function, at each scrape, for the device memory of one of MEMORY_KINDS."""
        self._device_memory.labels(kind).set_function(num_bytes)

    def model_loaded(self, seconds: float) -> None:
        """Say how long it took to load and warm a model."""
        self._load_seconds.set(seconds)

    def reloaded(self, result: str) -> None:
        """Count a checkpoint file that was loaded while serving, or refused; `result` is one of RELOADS."""
        self._reloads[result].inc()

    def ready_where(self, is_ready: Callable[[], bool]) -> None:
        """Ask a function, at each scrape, whether the service takes requests."""
        self._ready.set_function(is_ready)

    def _make_request_metrics(self) -> None:
        self._requests = self._counter(
            "vae_requests", "Answered requests by operation and HTTP status.", ("operation", "code")
        )
        for operation in (*REQUEST_OPERATIONS, OTHER):
            for code in (200, *ALARMING):
                self._requests.labels(operation, str(code))
        self._request_seconds = self._histograms(
            "vae_request_duration_seconds", "Time from request to answer.", "operation", REQUEST_OPERATIONS
        )
        self._codec_seconds = self._histograms(
            "vae_codec_seconds",
            "Time to make inputs of the image files of one request, or its answer of the outputs.",
            "stage",
            CODEC_STAGES,
        )
        rejected = self._counter("vae_rejected", "Requests that were not worked on, by reason.", ("reason",))
        self._rejected = {reason: rejected.labels(reason) for reason in REJECTIONS}

    def _make_batch_metrics(self) -> None:
        self._queue_seconds = Histogram(
            "vae_queue_seconds",
            "Time a job waited for its first batch.",
            buckets=SECONDS,
            registry=self._registry,
        )
        self._device_seconds = self._histograms(
            "vae_device_seconds", "Time the device took for a batch.", "operation", BATCH_OPERATIONS
        )
        self._batch_items = self._histograms(
            "vae_batch_items", "Items in a batch, padding not counted.", "operation", BATCH_OPERATIONS, SIZES
        )
        padding = self._counter("vae_padding_items", "Rows computed only to fill a bucket.", ("operation",))
        self._padding = {operation: padding.labels(operation) for operation in BATCH_OPERATIONS}
        failures = self._counter("vae_device_failures", "Runs that the device failed on, by kind.", ("kind",))
        self._device_failures = {kind: failures.labels(kind) for kind in DEVICE_FAILURES}
        cancelled = self._counter("vae_cancelled", "Jobs whose client had gone, by stage.", ("stage",))
        self._cancelled = {stage: cancelled.labels(stage) for stage in CANCELLED_STAGES}
        self._queued = self._gauge("vae_queued_items", "Items that wait for a batch.")
        self._admitted = self._gauge(
            "vae_admitted_items", "Items of requests that were admitted and are not answered yet."
        )
        self._queue_capacity = self._gauge(
            "vae_queue_capacity_items", "Items that may be admitted at a time."
        )

    def _make_model_metrics(self) -> None:
        self._model_info = self._gauge("vae_model_info", "A model that is served; always 1.", MODEL_LABELS)
        reloads = self._counter("vae_model_reloads", "Changed checkpoint files, by result.", ("result",))
        self._reloads = {result: reloads.labels(result) for result in RELOADS}
        self._load_seconds = self._gauge("vae_model_load_seconds", "Time to load and warm the latest model.")
        self._largest_batch = self._gauge(
            "vae_largest_batch_items", "Items in the largest batch that is made now.", ("model", "operation")
        )
        self._device_memory = self._gauge(
            "vae_device_memory_bytes", "Memory of PyTorch's CUDA allocator.", ("kind",)
        )
        self._build_info = self._gauge("vae_build_info", "The versions that run; always 1.", BUILD_LABELS)
        self._ready = self._gauge("vae_ready", "Whether the service takes requests.")

    def _counter(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(name, text, labels, registry=self._registry)

    def _gauge(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
        return Gauge(name, text, labels, registry=self._registry)

    def _histograms(
        self,
        name: str,
        text: str,
        label: str,
        values: tuple[str, ...],
        buckets: tuple[float, ...] = SECONDS,
    ) -> dict[str, Histogram]:
        """One histogram with a child for each value of its label, looked up once."""
        histogram = Histogram(name, text, (label,), buckets=buckets, registry=self._registry)
        return {value: histogram.labels(value) for value in values}


def _encoder(accept: str) -> tuple[Callable[[Collector], bytes], str]:
    """What writes metrics as asked, and what that is called; Prometheus' text where the version is none."""
    if any(not VERSION.fullmatch(version) for version in re.findall(r"version=([^;,]*)", accept)):
        return choose_encoder("")
    return choose_encoder(accept)
