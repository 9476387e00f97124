"""The metrics of several workers as those of one service: each is asked over a Unix socket, all are added up.

Prometheus asks one port, and whichever worker takes the connection answers for all of them.
"""

import contextlib
import socket
import threading
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from service.errors import NotReady

MAX_SECONDS = 2.0
# Gauges of which the workers' sum would say nothing.
LARGEST = {
    "vae_model_info",
    "vae_build_info",
    "vae_model_load_seconds",
    "vae_largest_batch_items",
    "process_start_time_seconds",
    "process_max_fds",
}
SMALLEST = {"vae_ready"}


class Gathering(Collector):
    """The metrics of all workers.

    Args:
        own: This worker's.
        folder: Where each worker has its socket, named by its number.
        number: Of this worker.
        num_workers: How many there are.
    """

    def __init__(self, own: CollectorRegistry, *, folder: Path, number: int, num_workers: int) -> None:
        self._own = own
        self._others = [folder / str(other) for other in range(num_workers) if other != number]
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(folder / str(number)))
        self._listener.listen()
        threading.Thread(target=self._answer, name="gathering", daemon=True).start()

    def collect(self) -> Iterable[Metric]:
        """Ask every worker that has started.

        Raises:
            NotReady: One does not answer.
        """
        texts = [generate_latest(self._own), *map(_asked, self._others)]
        return merged(text.decode() for text in texts if text)

    def _answer(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            # The one who asked may have gone.
            with connection, contextlib.suppress(OSError):
                connection.settimeout(MAX_SECONDS)
                connection.sendall(generate_latest(self._own))


def merged(texts: Iterable[str]) -> list[Metric]:
    """The metrics of several OpenMetrics documents, samples of the same name and labels made one."""
    families: dict[str, Metric] = {}
    samples: dict[str, dict[tuple[str, ...], Sample]] = {}
    for text in texts:
        for family in text_string_to_metric_families(text):
            families.setdefault(family.name, family)
            seen = samples.setdefault(family.name, {})
            for sample in family.samples:
                key = (sample.name, *(f"{name}={value}" for name, value in sorted(sample.labels.items())))
                seen[key] = _joined(seen[key], sample) if key in seen else sample
    for name, family in families.items():
        family.samples = list(samples[name].values())
    return list(families.values())


def _joined(first: Sample, second: Sample) -> Sample:
    value = first.value + second.value
    if first.name in LARGEST:
        value = max(first.value, second.value)
    elif first.name in SMALLEST:
        value = min(first.value, second.value)
    return first._replace(value=value, exemplar=first.exemplar or second.exemplar)


def _asked(address: Path) -> bytes:
    """The metrics of another worker; none of one that has not started yet, or has ended."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(MAX_SECONDS)
        try:
            connection.connect(str(address))
            return b"".join(iter(lambda: connection.recv(65536), b""))
        except TimeoutError:
            raise NotReady(f"worker {address.name} does not tell its metrics") from None
        except OSError:
            return b""
