"""Prometheus' text format as numbers, read with the client library's own parser."""

from prometheus_client.parser import text_string_to_metric_families


def samples(text: str | bytes) -> dict[str, float]:
    """Every sample by its series, such as `vae_rejected_total{reason="deadline"}`."""
    text = text.decode() if isinstance(text, bytes) else text
    return {
        _series(sample.name, sample.labels): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _series(name: str, labels: dict[str, str]) -> str:
    inside = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    return f"{name}{{{inside}}}" if inside else name
