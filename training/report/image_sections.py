"""The sections on images: reconstructions, samples, and the best and worst of all.

Shapes: N images, C channels, H height, W width, D latent size.
"""

import torch
from PIL import Image
from torch import Tensor

from training.data.splits import evenly_spaced
from training.evaluate.prior import Prior
from training.grids import paired_rows
from training.report.charts import error_chart
from training.report.figures import readable
from training.report.network import Network, Observations
from training.report.pictures import picture
from training.report.section import Panel, Section
from training.report.subject import Subject

COLUMNS = 8
NUM_PAIRS = 24
NUM_SAMPLES = 48
CPU = torch.device("cpu")


def reconstruction_section(observations: Observations) -> Section:
    """Images above what comes back of them."""
    chosen = evenly_spaced(len(observations.images), min(2 * NUM_PAIRS, len(observations.images)))
    panels = [
        Panel(
            f"reconstructions-{number}",
            _pairs(observations, part),
            f"{len(part)} validation images, each row of them above the row of their reconstructions.",
            f"Mean squared error of these {len(part)}: {readable(float(observations.mse[part].mean()))}.",
        )
        for number, part in enumerate(chosen.split(NUM_PAIRS), start=1)
    ]
    text = (
        "Validation images; below each row what the network makes of them, decoded from mu. "
        "Levels are the network's own: no contrast is stretched."
    )
    return Section("reconstructions", "Reconstructions", text, tuple(panels), layout="halves")


def sample_section(network: Network, subject: Subject) -> Section:
    """The same noise under both priors, or under the one there is."""
    seed = subject.seed
    latent_dim, mixture = subject.checkpoint.metadata.latent_dim, subject.checkpoint.prior
    what = "Its units were never held to that" if subject.is_autoencoder else "What the training aims at"
    priors = {"standard": (Prior(latent_dim), f"Standard normal prior. {what}; z is the noise itself.")}
    if mixture is not None:
        caption = (
            f"Fitted prior: a mixture of {len(mixture.weights)} Gaussians, fitted to the latents of training "
            "images. The service draws from it unless asked not to."
        )
        priors = {"fitted": (Prior(latent_dim, mixture), caption), **priors}
    panels = [
        Panel(
            f"samples-{name}",
            picture(network.decode(prior.draw(NUM_SAMPLES, seed=seed, device=CPU)), columns=COLUMNS),
            f"{NUM_SAMPLES} images decoded from latents drawn from the {name} prior.",
            caption,
        )
        for name, (prior, caption) in priors.items()
    ]
    text = f"Images that do not exist, decoded from noise of seed {seed}"
    text += (
        ", the same in both pictures." if mixture is not None else "; this checkpoint has no fitted prior."
    )
    return Section("samples", "Samples", text, tuple(panels), layout="halves")


def error_section(observations: Observations) -> Section:
    """How the errors of the images are spread, and the images at both ends."""
    mse = observations.mse
    order = mse.argsort(stable=True)
    num_shown = min(COLUMNS, len(order))
    chart = Panel(
        "errors",
        error_chart(mse),
        f"Histogram of the mean squared errors of {len(mse)} images: median {readable(float(mse.median()))}, "
        f"from {readable(float(mse.min()))} to {readable(float(mse.max()))}.",
        f"Of {len(mse)} validation images, each decoded from its mu.",
    )
    ends = {
        "best": (order[:num_shown], "the least error", "What comes back almost as it was."),
        "worst": (order.flip(0)[:num_shown], "the largest error", "Often rare, or mistakes in the data."),
    }
    panels = [
        Panel(
            f"errors-{name}",
            _pairs(observations, chosen),
            f"The {len(chosen)} images with {what}, above their reconstructions; "
            f"mean squared errors {', '.join(readable(float(mse[index])) for index in chosen)}.",
            f"The {name} {len(chosen)}. {text}",
            columns=len(chosen),
            values=tuple(readable(float(mse[index]), digits=2) for index in chosen),
        )
        for name, (chosen, what, text) in ends.items()
    ]
    text = "The number below each image is the mean squared error of its reconstruction."
    return Section("errors", "Best and worst", text, (chart, *panels), layout="halves")


def _pairs(observations: Observations, chosen: Tensor) -> Image.Image:
    columns = min(COLUMNS, len(chosen))
    pairs = paired_rows(observations.images[chosen], observations.reconstructions[chosen], columns=columns)
    return picture(pairs, columns=columns)
