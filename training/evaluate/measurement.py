"""What every group of figures is measured from, computed once.

Shapes: N images, C channels, H height, W width, D latent size.
"""

import dataclasses
import functools
from pathlib import Path

import torch
from torch import Tensor

from training.data.labels import LabelledImages
from training.data.parts import load_part
from training.errors import NotComputable
from training.evaluate.figures import Figures
from training.evaluate.images import EvaluatedImages
from training.evaluate.posterior import Posterior, encode_images
from training.evaluate.reconstruction import reconstructions
from training.evaluate.subject import Subject
from training.likelihoods import Likelihood


@dataclasses.dataclass(frozen=True)
class Settings:
    """How to measure.

    Attributes:
        num_importance_samples: Of the importance-weighted bound; 0 leaves it out.
        seed: Of every latent that is drawn, of the directions and patches, and of the classifier.
        cache: Folder of the classifiers that were trained for a Frechet distance.
        device: Where to compute.
    """

    num_importance_samples: int
    seed: int
    cache: Path
    device: torch.device


@dataclasses.dataclass(frozen=True)
class Measurement:
    """A network, the images that it is measured on, and what was found."""

    subject: Subject
    images: EvaluatedImages
    settings: Settings
    figures: Figures = dataclasses.field(default_factory=Figures)

    @functools.cached_property
    def shown(self) -> Tensor:
        """uint8 (N, C, H, W), on the device."""
        return self.images.shown.to(self.settings.device)

    @functools.cached_property
    def posterior(self) -> Posterior:
        """Of the images that are shown."""
        return encode_images(self.subject.autoencoder, self.shown, seed=self.settings.seed)

    @functools.cached_property
    def reconstructions(self) -> Tensor:
        """The pixels' means at each posterior mean, float32 (N, C, H, W) in [0, 1]."""
        return reconstructions(self.subject.autoencoder, self.posterior.mu)

    @functools.cached_property
    def training_part(self) -> LabelledImages:
        """The images that the run was trained on, with their labels."""
        return load_part("train", config=self.subject.data, seed=self.subject.seed)

    def checked_posterior(self) -> Posterior:
        """The same as `posterior`.

        Raises:
            NotComputable: It is a point, so that there is no rate, no bound and no information in nats.
        """
        if self.subject.is_point:
            raise NotComputable("the network was trained as an autoencoder: its posterior has no density")
        return self.posterior

    def checked_likelihood(self) -> Likelihood:
        """What images are scored with.

        Raises:
            NotComputable: The checkpoint does not say, or the likelihood cannot be computed.
        """
        if isinstance(self.subject.likelihood, NotComputable):
            raise self.subject.likelihood
        return self.subject.likelihood
