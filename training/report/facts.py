"""What a checkpoint is and where it comes from, in words."""

from training.report.figures import readable
from training.report.subject import Subject


def facts(subject: Subject) -> list[tuple[str, str]]:
    """Headings and texts, in the order in which a person wants them."""
    metadata = subject.checkpoint.metadata
    provenance = metadata.provenance
    channels, height, width = metadata.image_shape
    scale = (
        ""
        if metadata.likelihood_scale is None
        else f", scale {readable(metadata.likelihood_scale, digits=3)}"
    )
    licence = "" if provenance.dataset_license is None else f" ({provenance.dataset_license})"
    spent = "" if subject.log is None else f", in {duration(subject.log.seconds)}"
    return [
        ("Data", f"{provenance.dataset}{licence}, {provenance.num_training_images or 0:,} training images"),
        ("Images", f"{width} x {height} pixels, {channels} channel{'s' if channels > 1 else ''}"),
        ("Network", f"{metadata.architecture}, {metadata.latent_dim} latent units"),
        ("Likelihood", f"{(metadata.likelihood or 'not known').replace('_', ' ').capitalize()}{scale}"),
        ("Preset", provenance.preset or "not known"),
        ("Trained for", f"{provenance.epochs or 0} epochs, {provenance.steps or 0:,} steps{spent}"),
        ("Exported", f"{metadata.created_at:%Y-%m-%d %H:%M} UTC"),
        ("File", f"{subject.file.name}, {subject.checkpoint.num_bytes / 1e6:.1f} MB"),
        ("Commit", (provenance.commit or "not known")[:12]),
    ]


def duration(seconds: float) -> str:
    """Two units of time at most: 2 h 5 min, 3 min 20 s, 45 s."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
