"""Every metric in one place, with all its labels from the start, and few enough to scrape often."""

import re
from pathlib import Path

import pytest

import service
from service.metrics import (
    BATCH_OPERATIONS,
    CODEC_STAGES,
    REJECTIONS,
    REQUEST_OPERATIONS,
    SIZES,
    Metrics,
)
from tests.scrape import samples

MAX_SERIES = 200
SOURCES = sorted(Path(service.__path__[0]).rglob("*.py"))


def test_only_one_module_knows_prometheus() -> None:
    importing = [
        path.name for path in SOURCES if re.search(r"^(from|import) prometheus", path.read_text(), re.M)
    ]
    assert importing == ["metrics.py"]


def test_every_method_of_metrics_is_called_somewhere() -> None:
    elsewhere = "".join(path.read_text() for path in SOURCES if path.name != "metrics.py")
    methods = [name for name in vars(Metrics) if not name.startswith("_")]
    assert methods
    assert [name for name in methods if f".{name}(" not in elsewhere] == []


def test_a_fresh_registry_has_few_series() -> None:
    assert len(samples(Metrics().render())) < MAX_SERIES


def test_every_name_has_the_prefix_and_help() -> None:
    text = Metrics().render().decode()
    names = set(re.findall(r"^# TYPE (\S+) ", text, re.M))
    documented = {
        name for name, words in re.findall(r"^# HELP (\S+) (.+)$", text, re.M) if words.endswith(".")
    }
    assert names
    assert all(name.startswith("vae_") for name in names)
    assert documented == names


@pytest.mark.parametrize(
    ("name", "label", "values"),
    [
        ("vae_request_duration_seconds_count", "operation", REQUEST_OPERATIONS),
        ("vae_rejected_total", "reason", REJECTIONS),
        ("vae_codec_seconds_count", "stage", CODEC_STAGES),
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
    metrics.request_finished("sample", 200, 0.25)
    metrics.request_finished("sample", 422, 0.5)
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
    metrics.queued(7)
    metrics.job_started(0.25)
    metrics.job_cancelled()
    metrics.batch_failed()
    metrics.ready(True)
    labels = {"name": "a", "version": "b", "sha256": "c", "device": "cpu", "precision": "float32"}
    metrics.model_loaded(labels, 512)
    found = samples(metrics.render())
    assert found['vae_rejected_total{reason="queue_full"}'] == 1
    assert found['vae_codec_seconds_sum{stage="decode_image"}'] == 0.5
    assert found["vae_queued_items"] == 7
    assert found["vae_queue_seconds_sum"] == 0.25
    assert found["vae_cancelled_total"] == found["vae_batch_failures_total"] == found["vae_ready"] == 1
    assert found["vae_queue_capacity_items"] == 512


def test_two_registries_share_nothing() -> None:
    first, second = Metrics(), Metrics()
    first.job_cancelled()
    assert samples(second.render())["vae_cancelled_total"] == 0
