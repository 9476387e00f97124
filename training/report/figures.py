"""The measured figures of a checkpoint, each with its unit and a line that says what it means."""

import dataclasses
from collections.abc import Mapping

from service.metadata import Metadata
from training.report.evaluation import Evaluation

NATS = "nats an image"
OF_TRAINING_IMAGES = "The same, of training images in place of samples: what the best samples would have."


@dataclasses.dataclass(frozen=True)
class Meaning:
    """What a figure is called, its unit, and how to read it."""

    label: str
    unit: str
    text: str


@dataclasses.dataclass(frozen=True)
class KeyFigure:
    """One figure as it is shown; `value` is a text that a person can read."""

    label: str
    value: str
    unit: str
    text: str


# By the name of a figure, or by how its name begins: what follows is added to the label.
MEANINGS: Mapping[str, Meaning] = {
    "elbo": Meaning(
        "ELBO", NATS, "Lower bound of log p(x): what is left after distortion and rate. Higher is better."
    ),
    "distortion": Meaning(
        "Distortion", NATS, "Negative log p(x|z): what the reconstruction misses. Lower is better."
    ),
    "rate": Meaning("Rate", NATS, "KL divergence of the latent from its prior: what it tells."),
    "nll": Meaning(
        "NLL", NATS, "Negative log p(x), estimated from above by importance sampling. Lower is better."
    ),
    "bits_per_dimension": Meaning(
        "Bits", "bits a pixel value", "The bound on negative log p(x), shared out. Lower is better."
    ),
    "mse": Meaning("MSE", "pixels in [0, 1]", "Mean squared error of reconstructions. Lower is better."),
    "psnr": Meaning("PSNR", "dB", "Peak signal-to-noise ratio of reconstructions. Higher is better."),
    "ms_ssim": Meaning(
        "MS-SSIM",
        "at most 1",
        "Structural similarity of reconstructions, on several scales. Higher is better.",
    ),
    "ssim": Meaning("SSIM", "at most 1", "Structural similarity of reconstructions. Higher is better."),
    "sigma": Meaning(
        "Sigma", "of the pixel range", "Standard deviation that the Gaussian likelihood gives a pixel."
    ),
    "scale": Meaning(
        "Scale", "of the pixel range", "Width that the discretized logistic likelihood gives a pixel."
    ),
    "active_units": Meaning(
        "Active units", "", "Latent units whose mean varies with the image: Var(mu) > 0.01."
    ),
    "mutual_information": Meaning(
        "Mutual information",
        "nats",
        "What a latent tells of which of N images it belongs to, estimated. No more than log N can be seen.",
    ),
    "prior_gap": Meaning(
        "Prior gap",
        "nats",
        "How far all latents together are from the prior; too large where the mutual information is log N."
        " Lower means better samples.",
    ),
    "sliced_wasserstein": Meaning(
        "Sliced Wasserstein", "", "Distance of samples from real images, in patches. Lower is better."
    ),
    "frechet_classifier": Meaning(
        "Frechet distance", "", "Of samples from real images, in a classifier's features. Lower is better."
    ),
}


def key_figures(metadata: Metadata, evaluation: Evaluation | None) -> list[KeyFigure]:
    """Those of the checkpoint's metadata, with those of an evaluation over them; known ones first."""
    measured = {**metadata.quality, **({} if evaluation is None else evaluation.figures)}
    names = [name for prefix in MEANINGS for name in measured if _prefix(name) == prefix]
    names += [name for name in measured if _prefix(name) is None and not name.startswith("num_")]
    return [_figure(name, measured[name], metadata=metadata) for name in names]


def measured_on(metadata: Metadata, evaluation: Evaluation | None) -> str:
    """On which images the figures were measured, as far as it is known."""
    if evaluation is not None:
        return (
            f"Measured on {evaluation.num_images:,} images of the {evaluation.split} split, after the export."
        )
    for split in ("test", "validation"):
        if f"num_{split}_images" in metadata.quality:
            return f"Measured on {metadata.quality[f'num_{split}_images']:,.0f} images of the {split} split."
    if metadata.quality:
        return "Measured on the validation images, when the checkpoint was exported."
    return "Nothing has been measured yet; python -m training evaluate does."


def _prefix(name: str) -> str | None:
    return next((prefix for prefix in MEANINGS if name == prefix or name.startswith(f"{prefix}_")), None)


def _figure(name: str, value: float, *, metadata: Metadata) -> KeyFigure:
    prefix = _prefix(name)
    if prefix is None:
        return KeyFigure(name.replace("_", " "), readable(value), "", "")
    meaning, rest = MEANINGS[prefix], name.removeprefix(prefix).removeprefix("_")
    unit = f"of {metadata.latent_dim} latent units" if name == "active_units" else meaning.unit
    text = OF_TRAINING_IMAGES if rest == "train" else meaning.text
    if name == "elbo" and metadata.likelihood == "gaussian":
        text += " A density, so that it may have either sign."
    label = f"{meaning.label}, {_in_words(rest)}" if rest else meaning.label
    return KeyFigure(label, readable(value), unit, text)


def _in_words(rest: str) -> str:
    """What the end of a figure's name means: a prior, other images, or importance-weighted samples."""
    if rest.startswith("iw") and rest[2:].isdigit():
        return f"{int(rest[2:]):,} samples"
    return {"standard": "standard prior", "fitted": "fitted prior", "train": "training images"}.get(
        rest, rest.replace("_", " ")
    )


def readable(value: float, *, digits: int = 4) -> str:
    """So many significant digits, with an exponent only where the number is tiny or vast."""
    is_whole = value.is_integer() or 10 ** (digits - 1) <= abs(value)
    if is_whole and abs(value) < 1e9:
        text = f"{value + 0.0:,.0f}"  # minus zero is zero
    else:
        text = f"{value:#.{digits}g}".removesuffix(".")
    return text.replace("-", "\N{MINUS SIGN}")
