"""An exported checkpoint in pictures: one HTML file that can be opened and sent around, and PNG files."""

import logging
from pathlib import Path

import torch
from torch import Tensor

from training.data.batches import binarized
from training.data.fingerprint import warn_of_others
from training.data.parts import load_part
from training.data.splits import evenly_spaced
from training.errors import TrainingError
from training.report.classes import Classes, classes_from
from training.report.curve_section import curve_section
from training.report.facts import facts
from training.report.figures import key_figures, measured_on
from training.report.image_sections import error_section, reconstruction_section, sample_section
from training.report.latent_section import latent_section
from training.report.network import Network
from training.report.page import Page
from training.report.path_sections import interpolation_section, traversal_section
from training.report.subject import Subject, open_subject

logger = logging.getLogger(__name__)

MAX_IMAGES = 4096
FOOTER = (
    "Made by python -m training report from {num_shown:,} of {num_images:,} validation images. The pictures "
    "are in the folder report/ too, as PNG files. Images larger than 128 pixels are shown at 128."
)


def write_report(
    source: Path, *, data: Path | None = None, output: Path | None = None, attribute: str | None = None
) -> Path:
    """Write report.html, and its pictures as PNG files in report/ beside it.

    Args:
        source: A run folder with its model.pt, or an exported checkpoint.
        data: Folder of the images, where they are not where the run found them.
        output: Folder to write to; by default the run folder, or one beside the checkpoint.
        attribute: Of CelebA, by which the latents are coloured.

    Returns:
        The HTML file.

    Raises:
        TrainingError: With the remedy in its message.
    """
    subject = open_subject(source, root=data)
    logger.info("reading the validation images of %s", subject.data.dataset)
    part = load_part("validation", config=subject.data, seed=subject.seed)
    expected = subject.checkpoint.metadata.provenance.validation_fingerprint
    warn_of_others(part.images, expected=expected)
    classes = classes_from(part.labels, dataset=subject.data.dataset, attribute=attribute)
    page = _page(subject, part.images, classes=classes)
    folder = output or (source if source.is_dir() else source.with_name(f"{source.stem}-report"))
    html = folder / "report.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        page.write(html, pictures=folder / "report")
    except OSError as error:
        raise TrainingError(
            f"{error.filename or html} cannot be written: {error.strerror}; try --output FOLDER"
        ) from None
    return html


def _page(subject: Subject, images: Tensor, *, classes: Classes | None) -> Page:
    chosen = evenly_spaced(len(images), min(MAX_IMAGES, len(images)))
    if subject.data.binarize:  # as the run did it
        images = binarized(images, generator=torch.Generator().manual_seed(subject.seed))
    network = Network(subject.checkpoint)
    observations = network.observe(images[chosen])
    classes = None if classes is None else classes.at(chosen)
    is_autoencoder = subject.is_autoencoder
    metadata = subject.checkpoint.metadata
    return Page(
        title=metadata.name,
        facts=facts(subject),
        command=metadata.provenance.command,
        figures=key_figures(metadata, subject.evaluation),
        measured_on=measured_on(metadata, subject.evaluation),
        sections=(
            curve_section(subject),
            reconstruction_section(observations),
            sample_section(network, subject),
            latent_section(network, observations, classes=classes, is_autoencoder=is_autoencoder),
            traversal_section(network, observations, is_autoencoder=is_autoencoder),
            interpolation_section(network, observations),
            error_section(observations),
        ),
        footer=FOOTER.format(num_shown=len(chosen), num_images=len(images)),
    )
