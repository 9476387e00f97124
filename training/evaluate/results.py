"""An evaluation as it is kept: JSON with its protocol, and the figures in the checkpoint's own metadata."""

import platform
from datetime import UTC, datetime

import orjson
import torch

from service.metadata import Metadata
from training.errors import NotComputable
from training.evaluate.autoencoder import ExportedAutoencoder
from training.evaluate.measurement import Measurement
from training.evaluate.subject import Subject

CONSTANTS = ("sigma", "scale")  # of the likelihood: not measured on the images of one split


def as_json(measurement: Measurement, *, seconds: float) -> bytes:
    """What was measured, of what, how, and on which machine."""
    figures = measurement.figures
    values = {
        "checkpoint": measurement.subject.path.name,
        "digest": measurement.subject.digest,
        "created_at": datetime.now(UTC).replace(microsecond=0),
        "protocol": protocol(measurement),
        "figures": figures.values,
        "standard_errors": figures.standard_errors,
        "skipped": figures.skipped,
        "unit_kl": figures.unit_kl,
        "machine": _machine(measurement.settings.device),
        "seconds": round(seconds, 1),
    }
    return orjson.dumps(values, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def protocol(measurement: Measurement) -> dict[str, object]:
    """All that a reader has to know to measure the same."""
    images, subject = measurement.images, measurement.subject
    return {
        "dataset": subject.data.dataset,
        "split": images.split,
        "num_images": len(images.shown),
        "binarization_seed": images.binarization_seed,
        "seed": measurement.settings.seed,
        "num_importance_samples": measurement.settings.num_importance_samples,
        **_likelihood(subject),
        **measurement.figures.protocol,
    }


def with_figures(metadata: Metadata, measurement: Measurement) -> Metadata:
    """Metadata with these figures in its `quality`, and how many images of which split they are of.

    Figures of the same images that were not measured this time are kept, those of other images are not.
    """
    count = f"num_{measurement.images.split}_images"
    num_images = float(len(measurement.images.shown))
    is_same = metadata.quality.get(count) == num_images
    kept = {name: value for name, value in metadata.quality.items() if is_same or name in CONSTANTS}
    quality = {**kept, count: num_images, **measurement.figures.values}
    unit_kl = measurement.figures.unit_kl or (metadata.unit_kl if is_same else None)
    return metadata.model_copy(update={"quality": quality, "unit_kl": unit_kl})


def _likelihood(subject: Subject) -> dict[str, object]:
    """What images are scored with, and from what: logits, or pixels of 256 levels that were decoded."""
    if isinstance(subject.likelihood, NotComputable):
        return {"likelihood": subject.likelihood_name}
    scale = subject.likelihood.scale()
    is_exact = not isinstance(subject.autoencoder, ExportedAutoencoder) or subject.autoencoder.has_logits
    return {
        "likelihood": subject.likelihood_name,
        "likelihood_scale": None if scale is None else round(scale, 6),
        "means": "logits" if is_exact else "decoded pixels",
    }


def _machine(device: torch.device) -> dict[str, object]:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "device": f"{device.type} {name}",
        "threads": torch.get_num_threads(),
        "torch": str(torch.__version__),
        "platform": platform.platform(),
    }
