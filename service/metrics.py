"""Every Prometheus metric of the service; one method an event, so that the code it counts stays readable.

Names have the prefix `vae_` and base units. Labels exist from the start, so that a rate is known before the
first failure; of the HTTP statuses only 200 does.
"""

from collections.abc import Mapping

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

REQUEST_OPERATIONS = ("sample", "encode", "decode", "reconstruct")
OTHER = "other"
BATCH_OPERATIONS = ("decode", "encode", "reconstruct")
REJECTIONS = ("queue_full", "deadline", "not_ready")
CODEC_STAGES = ("decode_image", "encode_image")
SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 5)
SIZES = (1, 4, 16, 64)

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """The service's metrics in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._make_request_metrics()
        self._make_batch_metrics()
        self._make_model_metrics()

    def render(self) -> bytes:
        """The text that Prometheus scrapes."""
        return generate_latest(self._registry)

    def request_finished(self, operation: str, code: int, seconds: float) -> None:
        """Count an answered request to an operation, or to OTHER."""
        self._requests.labels(operation, str(code)).inc()
        if operation != OTHER:
            self._request_seconds[operation].observe(seconds)

    def rejected(self, reason: str) -> None:
        """Count a request that was not worked on; `reason` is one of REJECTIONS."""
        self._rejected[reason].inc()

    def codec_finished(self, stage: str, seconds: float) -> None:
        """Count the decoding or encoding of one request's images; `stage` is one of CODEC_STAGES."""
        self._codec_seconds[stage].observe(seconds)

    def queued(self, num_items: int) -> None:
        """Say how many items wait now."""
        self._queued.set(num_items)

    def job_started(self, waited_seconds: float) -> None:
        """Count a job whose first item joined a batch."""
        self._queue_seconds.observe(waited_seconds)

    def job_cancelled(self) -> None:
        """Count a job that nobody waited for any more, dropped before the device saw it."""
        self._cancelled.inc()

    def batch_finished(self, operation: str, num_items: int, size: int, seconds: float) -> None:
        """Count a batch of `num_items` padded to `size`."""
        self._batch_items[operation].observe(num_items)
        self._padding[operation].inc(size - num_items)
        self._device_seconds[operation].observe(seconds)

    def batch_failed(self) -> None:
        """Count a batch that the device failed on."""
        self._batch_failures.inc()

    def model_loaded(self, labels: Mapping[str, str], max_queued_items: int) -> None:
        """Name the model that is served and the queue's capacity."""
        self._model_info.labels(**labels).set(1)
        self._queue_capacity.set(max_queued_items)

    def ready(self, is_ready: bool) -> None:
        """Say whether the service takes requests."""
        self._ready.set(is_ready)

    def _make_request_metrics(self) -> None:
        self._requests = self._counter(
            "vae_requests", "Answered requests by operation and HTTP status.", ("operation", "code")
        )
        for operation in (*REQUEST_OPERATIONS, OTHER):
            self._requests.labels(operation, "200")
        self._request_seconds = self._histograms(
            "vae_request_duration_seconds", "Time from request to answer.", "operation", REQUEST_OPERATIONS
        )
        self._codec_seconds = self._histograms(
            "vae_codec_seconds",
            "Time to decode or encode the images of one request.",
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
        self._batch_failures = self._counter("vae_batch_failures", "Batches that the device failed on.")
        self._cancelled = self._counter("vae_cancelled", "Jobs dropped because their client had gone.")
        self._queued = self._gauge("vae_queued_items", "Items that wait for a batch.")
        self._queue_capacity = self._gauge("vae_queue_capacity_items", "Items that may wait at most.")

    def _make_model_metrics(self) -> None:
        labels = ("name", "version", "sha256", "device", "precision")
        self._model_info = self._gauge("vae_model_info", "The model that is served; always 1.", labels)
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
