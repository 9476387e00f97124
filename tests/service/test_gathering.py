from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from service.gathering import merged


def told(*, answered: int, seconds: tuple[float, ...], is_ready: int, largest: int, status: str) -> str:
    """What a worker tells, in the formats of the service's own metrics."""
    registry = CollectorRegistry()
    requests = Counter("vae_requests", "Answered.", ("code",), registry=registry)
    requests.labels("200").inc(answered)
    requests.labels(status).inc()
    duration = Histogram("vae_seconds", "Time.", buckets=(0.1, 1), registry=registry)
    for value in seconds:
        duration.observe(value, {"request_id": f"of {value}"})
    Gauge("vae_ready", "Whether.", registry=registry).set(is_ready)
    Gauge("vae_queued_items", "Items.", registry=registry).set(answered)
    Gauge("vae_largest_batch_items", "Items.", ("model",), registry=registry).labels("a").set(largest)
    return generate_latest(registry).decode()


def samples(texts: list[str]) -> dict[tuple[str, str], float]:
    return {
        (sample.name, ",".join(sample.labels.values())): sample.value
        for family in merged(texts)
        for sample in family.samples
    }


FIRST = told(answered=3, seconds=(0.05, 5.0), is_ready=1, largest=16, status="500")
SECOND = told(answered=4, seconds=(0.5,), is_ready=0, largest=64, status="429")


def test_what_counts_is_added_and_what_describes_is_not() -> None:
    found = samples([FIRST, SECOND])
    assert found["vae_requests_total", "200"] == 7
    assert found["vae_requests_total", "500"] == found["vae_requests_total", "429"] == 1
    assert [found["vae_seconds_bucket", bound] for bound in ("0.1", "1.0", "+Inf")] == [1, 2, 3]
    assert found["vae_seconds_sum", ""] == 5.55
    assert found["vae_queued_items", ""] == 7
    assert found["vae_ready", ""] == 0
    assert found["vae_largest_batch_items", "a"] == 64


def test_one_document_is_told_as_it_is() -> None:
    (family, *_) = merged([FIRST])
    assert samples([FIRST]).keys() <= samples([FIRST, SECOND]).keys()
    expected = next(iter(text_string_to_metric_families(FIRST)))
    assert (family.name, family.type, family.samples) == (expected.name, expected.type, expected.samples)


def test_exemplars_are_kept() -> None:
    exemplars = {
        sample.labels["le"]: sample.exemplar.labels["request_id"]
        for family in merged([FIRST, SECOND])
        for sample in family.samples
        if sample.exemplar
    }
    assert exemplars == {"0.1": "of 0.05", "1.0": "of 0.5", "+Inf": "of 5.0"}
