"""What a checkpoint is and where it comes from, in words."""

from service.metadata import Metadata, Provenance
from training.report.curves import Log
from training.report.figures import readable
from training.report.subject import Subject


def facts(subject: Subject) -> list[tuple[str, str]]:
    """Headings and texts, in the order in which a person wants them; what is not known is left out."""
    metadata = subject.checkpoint.metadata
    channels, height, width = metadata.image_shape
    known = [
        ("Data", _data(metadata.provenance)),
        ("Images", f"{width} x {height} pixels, {channels} channel{'s' if channels > 1 else ''}"),
        ("Network", f"{metadata.architecture}, {metadata.latent_dim} latent units"),
        ("Likelihood", _likelihood(metadata)),
        ("Preset", metadata.provenance.preset),
        ("Trained for", _training(metadata.provenance, subject.log)),
        ("Exported", f"{metadata.created_at:%Y-%m-%d %H:%M} UTC"),
        ("File", f"{subject.file.name}, {subject.checkpoint.num_bytes / 1e6:.1f} MB"),
        ("Commit", metadata.provenance.commit and metadata.provenance.commit[:12]),
    ]
    return [(heading, text) for heading, text in known if text]


def _data(provenance: Provenance) -> str | None:
    if provenance.dataset is None:
        return None
    licence = f" ({provenance.dataset_license})" if provenance.dataset_license else ""
    num_images = provenance.num_training_images
    return f"{provenance.dataset}{licence}" + (f", {num_images:,} training images" if num_images else "")


def _likelihood(metadata: Metadata) -> str | None:
    if metadata.likelihood is None:
        return None
    name = metadata.likelihood.replace("_", " ").capitalize()
    scale = metadata.likelihood_scale
    return name if scale is None else f"{name}, scale {readable(scale, digits=3)}"


def _training(provenance: Provenance, log: Log | None) -> str | None:
    if provenance.epochs is None or provenance.steps is None:
        return None
    spent = "" if log is None else f", in a run of {duration(log.seconds)}"
    return f"{provenance.epochs} epochs, {provenance.steps:,} steps{spent}"


def duration(seconds: float) -> str:
    """Two units of time at most: 2 h 5 min, 3 min 20 s, 45 s."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
