"""Every metric in one place, with all its labels from the start, and few enough to scrape often."""

import re
import socket
from pathlib import Path

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics

import service
from service.metrics import (
    BATCH_OPERATIONS,
    CANCELLED_STAGES,
    CODEC_STAGES,
    DEVICE_FAILURES,
    REJECTIONS,
    REQUEST_OPERATIONS,
    SIZES,
    Metrics,
)
from tests.scrape import samples

MAX_SERIES = 250
SOURCES = sorted(Path(service.__path__[0]).rglob("*.py"))


def test_only_what_counts_and_what_adds_up_knows_prometheus() -> None:
    importing = [
        path.name for path in SOURCES if re.search(r"^(from|import) prometheus", path.read_text(), re.M)
    ]
    assert importing == ["gathering.py", "metrics.py"]


def test_every_method_of_metrics_is_called_somewhere() -> None:
    elsewhere = "".join(path.read_text() for path in SOURCES if path.name != "metrics.py")
    methods = [name for name in vars(Metrics) if not name.startswith("_")]
    assert methods
    assert [name for name in methods if not re.search(rf"\.{name}\b", elsewhere)] == []


def test_a_fresh_registry_has_few_series() -> None:
    assert len(samples(Metrics().render())) < MAX_SERIES


def test_every_name_has_the_prefix_and_help() -> None:
    text = Metrics().render().decode()
    names = set(re.findall(r"^# TYPE (\S+) ", text, re.M))
    documented = {
        name for name, words in re.findall(r"^# HELP (\S+) (.+)$", text, re.M) if words.endswith(".")
    }
    assert names
    assert all(name.startswith(("vae_", "process_")) for name in names)
    assert documented == names


@pytest.mark.parametrize(
    ("name", "label", "values"),
    [
        ("vae_request_duration_seconds_count", "operation", REQUEST_OPERATIONS),
        ("vae_rejected_total", "reason", REJECTIONS),
        ("vae_codec_seconds_count", "stage", CODEC_STAGES),
        ("vae_device_failures_total", "kind", DEVICE_FAILURES),
        ("vae_cancelled_total", "stage", CANCELLED_STAGES),
        ("vae_device_seconds_count", "operation", BATCH_OPERATIONS),
        ("vae_batch_items_count", "operation", BATCH_OPERATIONS),
        ("vae_padding_items_total", "operation", BATCH_OPERATIONS),
    ],
)
def test_every_label_exists_from_the_start_at_zero(name: str, label: str, values: tuple[str, ...]) -> None:
    found = samples(Metrics().render())
    assert [found[f'{name}{{{label}="{value}"}}'] for value in values] == [0] * len(values)


def test_a_request_is_counted_by_operation_and_status() -> None:
    metrics = Metrics()
    metrics.request_finished("sample", 200, 0.25, "a")
    metrics.request_finished("sample", 422, 0.5, "b" * 200)
    found = samples(metrics.render())
    assert found['vae_requests_total{code="200",operation="sample"}'] == 1
    assert found['vae_requests_total{code="422",operation="sample"}'] == 1
    assert found['vae_request_duration_seconds_count{operation="sample"}'] == 2
    assert found['vae_request_duration_seconds_sum{operation="sample"}'] == 0.75


def test_a_batch_is_counted_with_its_padding() -> None:
    metrics = Metrics()
    metrics.batch_finished("encode", 5, 8, 0.125)
    found = samples(metrics.render())
    assert found['vae_batch_items_sum{operation="encode"}'] == 5
    assert found['vae_padding_items_total{operation="encode"}'] == 3
    assert found['vae_device_seconds_sum{operation="encode"}'] == 0.125
    smaller, larger = (max(size for size in SIZES if size < 5), min(size for size in SIZES if size >= 5))
    assert found[f'vae_batch_items_bucket{{le="{smaller}.0",operation="encode"}}'] == 0
    assert found[f'vae_batch_items_bucket{{le="{larger}.0",operation="encode"}}'] == 1


def test_the_other_events_are_counted() -> None:
    metrics = Metrics()
    metrics.rejected("queue_full")
    metrics.codec_finished("decode_image", 0.5)
    metrics.queued(9)
    metrics.queued(-2)
    metrics.job_started(0.25)
    metrics.job_cancelled("queued")
    metrics.device_failed("hang")
    metrics.ready_where(lambda: True)
    metrics.reloaded("refused")
    labels = {"name": "a", "version": "b", "sha256": "c", "device": "cpu", "precision": "float32"}
    metrics.model_served(labels, 512, {"decode": lambda: 16})
    metrics.model_served({**labels, "name": "other"}, 100, dict.fromkeys(BATCH_OPERATIONS, lambda: 8))
    metrics.model_loaded(2.5)
    metrics.built({"version": "1", "torch": "2", "cuda": "", "python": "3"})
    metrics.device_memory_is("allocated", lambda: 1000)
    metrics.model_retired({**labels, "name": "other"}, 100)
    found = samples(metrics.render())
    assert found['vae_rejected_total{reason="queue_full"}'] == 1
    assert found['vae_codec_seconds_sum{stage="decode_image"}'] == 0.5
    assert found["vae_queued_items"] == 7
    assert found["vae_queue_seconds_sum"] == 0.25
    assert found['vae_cancelled_total{stage="queued"}'] == found["vae_ready"] == 1
    assert found['vae_device_failures_total{kind="hang"}'] == 1
    assert found["vae_queue_capacity_items"] == 512
    assert [name for name in found if name.startswith("vae_model_info")] == [
        'vae_model_info{device="cpu",name="a",precision="float32",sha256="c",version="b"}'
    ]
    assert [(name, size) for name, size in found.items() if name.startswith("vae_largest")] == [
        ('vae_largest_batch_items{model="a",operation="decode"}', 16)
    ]
    assert found["vae_model_load_seconds"] == 2.5
    assert found['vae_build_info{cuda="",python="3",torch="2",version="1"}'] == 1
    assert found['vae_device_memory_bytes{kind="allocated"}'] == 1000
    assert found['vae_model_reloads_total{result="refused"}'] == 1


def test_a_request_is_an_exemplar_where_openmetrics_is_asked_for() -> None:
    metrics = Metrics()
    metrics.request_finished("sample", 200, 0.25, "an-id")
    metrics.request_finished("decode", 200, 0.25, "x" * 128)  # longer than an exemplar may be
    asked = "application/openmetrics-text; version=1.0.0"
    assert metrics.media_type(asked).startswith("application/openmetrics-text")
    families = openmetrics(metrics.render(asked).decode())
    exemplars = [sample.exemplar for family in families for sample in family.samples if sample.exemplar]
    assert [(exemplar.labels, exemplar.value) for exemplar in exemplars] == [({"request_id": "an-id"}, 0.25)]
    assert metrics.media_type("*/*").startswith("text/plain; version=0.0.4")
    assert samples(metrics.render("*/*")).keys() == samples(metrics.render()).keys()


@pytest.mark.parametrize("version", ["abc", "1.x", "2.0.x", "é", "²", "9" * 5000, ""])
@pytest.mark.parametrize("kind", ["application/openmetrics-text", "text/plain"])
def test_a_version_that_is_none_gets_the_plain_text(kind: str, version: str) -> None:
    metrics = Metrics()
    asked = f"{kind};version={version};q=0.5"
    assert metrics.media_type(asked).startswith("text/plain; version=0.0.4")
    assert samples(metrics.render(asked)).keys() == samples(metrics.render()).keys()


def test_scrapes_may_have_a_port_of_their_own() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    metrics = Metrics()
    close = metrics.listen("127.0.0.1", port)
    found = samples(httpx.get(f"http://127.0.0.1:{port}/metrics").text)
    close()
    assert found['vae_requests_total{code="200",operation="sample"}'] == 0


def test_two_registries_share_nothing() -> None:
    first, second = Metrics(), Metrics()
    first.job_cancelled("queued")
    assert samples(second.render())['vae_cancelled_total{stage="queued"}'] == 0
