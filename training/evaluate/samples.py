"""How far samples of each prior are from the images: by their patches, and by a classifier's features.

Samples are decoded as the service decodes them, to the pixels' means, and so are compared with grey images
even where the network is shown binary ones.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from training.data.parts import load_part
from training.data.splits import evenly_spaced
from training.errors import NotComputable
from training.evaluate.autoencoder import decoded
from training.evaluate.classifier import NUM_FEATURES, accuracy, trained_classifier
from training.evaluate.frechet import frechet_distance
from training.evaluate.measurement import Measurement
from training.evaluate.posterior import BATCH_SIZE
from training.evaluate.sliced_wasserstein import image_distance

MAX_IMAGES = 10_000
MIN_IMAGES = 2 * NUM_FEATURES  # below it a covariance of the features tells more of chance than of the images


def measure_sliced_wasserstein(measurement: Measurement) -> None:
    """Between patches of the images and of as many samples of each prior, and training images."""
    images = _compared(measurement)
    for name, others in _others(measurement, len(images)):
        distance = image_distance(images, others, seed=measurement.settings.seed)
        measurement.figures.set(f"sliced_wasserstein_{name}", distance)


def measure_frechet_distance(measurement: Measurement) -> None:
    """The same between a classifier's features."""
    images, labels = _compared(measurement), measurement.images.labels
    if labels is None or len(labels.names) < 2:
        raise NotComputable("the images have no labels that a classifier could learn its features from")
    if len(images) < MIN_IMAGES:
        raise NotComputable(f"the covariance of {NUM_FEATURES} features needs {MIN_IMAGES} images or more")
    part = measurement.training_part
    if part.labels is None:
        raise NotComputable(
            "the training images have no labels that a classifier could learn its features from"
        )
    settings = measurement.settings
    classifier = trained_classifier(part.images, part.labels, cache=settings.cache, device=settings.device)
    measurement.figures.protocol["classifier"] = {
        "num_training_images": len(part.images),
        "num_labels": len(labels.names),
        "accuracy": round(accuracy(classifier, images, labels.at(_chosen(labels.values))), 4),
    }
    features = classifier.features(images)
    for name, others in _others(measurement, len(images)):
        distance = frechet_distance(features, classifier.features(others))
        measurement.figures.set(f"frechet_classifier_{name}", distance)


def _compared(measurement: Measurement) -> Tensor:
    """uint8 (N, C, H, W), 10,000 at most."""
    images = measurement.images.original
    return images[_chosen(images)].to(measurement.settings.device)


def _chosen(images: Tensor) -> Tensor:
    return evenly_spaced(len(images), min(MAX_IMAGES, len(images)))


def _others(measurement: Measurement, num_images: int) -> Iterator[tuple[str, Tensor]]:
    """As many samples of each prior by its name; and training images, where there are as many."""
    settings, autoencoder = measurement.settings, measurement.subject.autoencoder
    for name, prior in measurement.subject.priors.items():
        z = prior.draw(num_images, seed=settings.seed, device=settings.device)
        yield name, torch.cat([decoded(autoencoder, part) for part in z.split(BATCH_SIZE)])
    training = _training_images(measurement, num_images)
    if len(training) >= num_images:
        order = torch.randperm(len(training), generator=torch.Generator().manual_seed(settings.seed))
        yield "train", training[order[:num_images]].to(settings.device)


def _training_images(measurement: Measurement, num_images: int) -> Tensor:
    """All of them where a classifier learns from them too, else as many as are needed."""
    if measurement.images.labels is not None:
        return measurement.training_part.images
    subject = measurement.subject
    limit = min(num_images, subject.data.limit or num_images)
    return load_part(
        "train", config=subject.data.model_copy(update={"limit": limit}), seed=subject.seed
    ).images
