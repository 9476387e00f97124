"""A small classifier of a data set's own labels, whose features compare sets of images.

Shapes: N images, B batch, C channels, H height, W width, F features, L labels.
"""

import hashlib
import io
import logging
import pickle
from pathlib import Path

import torch
from rich.progress import track
from torch import Tensor, nn
from torch.nn import functional

from service.whole_file import write_whole
from training.data.labels import Labels
from training.data.splits import evenly_spaced
from training.lightning_module import as_unit_range

logger = logging.getLogger(__name__)

NUM_FEATURES = 64
NUM_STEPS = 500
BATCH_SIZE = 128
LEARNING_RATE = 2e-3
AT_A_TIME = 512
MAX_STANDARDIZED = 10_000
SEED = 0
# What is stored belongs to this network and this training: raised where either changes.
VERSION = 2


class Classifier(nn.Module):
    """Three strided convolutions, 64 features, one linear layer to the logits of the labels."""

    def __init__(self, num_channels: int, num_labels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(num_channels, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 128, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
            nn.Linear(128 * 4 * 4, NUM_FEATURES),
        )
        self.head = nn.Linear(NUM_FEATURES, num_labels)
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.zeros(NUM_FEATURES))
        self.register_buffer("deviation", torch.ones(NUM_FEATURES))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, L) of images (B, C, H, W) in [0, 1]."""
        logits: Tensor = self.head(functional.relu(self.body(images)))
        return logits

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Features (N, F) of uint8 images (N, C, H, W), before they are rectified.

        In units in which those of the training images have mean 0 and variance 1.
        """
        return (self._raw_features(images) - self.mean) / self.deviation

    @torch.no_grad()
    def standardize(self, images: Tensor) -> None:
        """Make these the units of the features of uint8 images (N, C, H, W)."""
        features = self._raw_features(images)
        self.mean.copy_(features.mean(dim=0))
        self.deviation.copy_(features.std(dim=0).clamp_min(1e-6))

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        """Logits (N, L) of uint8 images (N, C, H, W)."""
        return torch.cat([self(self._as_input(batch)) for batch in images.split(AT_A_TIME)])

    def _raw_features(self, images: Tensor) -> Tensor:
        return torch.cat([self.body(self._as_input(batch)) for batch in images.split(AT_A_TIME)])

    def _as_input(self, images: Tensor) -> Tensor:
        return as_unit_range(images.to(self.mean.device))


def trained_classifier(
    images: Tensor, labels: Labels, *, cache: Path, device: torch.device, num_steps: int = NUM_STEPS
) -> Classifier:
    """The classifier of labelled training images: from the cache, or trained and put there.

    Its seed is fixed, so that the figures of two checkpoints are of the same features.

    Args:
        images: The training images, uint8 (N, C, H, W).
        labels: Of these images.
        cache: Folder, made where there is none.
        device: Where to train, and where the classifier is.
        num_steps: Of training.
    """
    path = cache / f"classifier-{_digest(images, labels, num_steps=num_steps)[:16]}.pt"
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        classifier = Classifier(images.shape[1], len(labels.names)).to(device)
    if not _load(classifier, path):
        _train(classifier, images, labels, num_steps=num_steps)
        classifier.standardize(images[evenly_spaced(len(images), min(MAX_STANDARDIZED, len(images)))])
        _store(classifier, path)
    return classifier.eval()


def accuracy(classifier: Classifier, images: Tensor, labels: Labels) -> float:
    """The share of right answers: classes of uint8 images (N, C, H, W), or single attributes of them."""
    logits = classifier.logits(images).cpu()
    if labels.exclusive:
        return float((logits.argmax(dim=1) == labels.values.argmax(dim=1)).double().mean())
    return float(((logits > 0) == (labels.values > 0)).double().mean())


@torch.enable_grad()
def _train(classifier: Classifier, images: Tensor, labels: Labels, *, num_steps: int) -> None:
    optimizer = torch.optim.Adam(classifier.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, num_steps)
    generator = torch.Generator().manual_seed(SEED)
    device = next(classifier.parameters()).device
    for _ in track(range(num_steps), "Training a classifier of the labels", transient=True):
        chosen = torch.randint(len(images), (BATCH_SIZE,), generator=generator)
        logits = classifier(as_unit_range(images[chosen].to(device)))
        targets = labels.values[chosen].to(logits)
        if labels.exclusive:
            loss = functional.cross_entropy(logits, targets)
        else:
            loss = functional.binary_cross_entropy_with_logits(logits, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def _digest(images: Tensor, labels: Labels, *, num_steps: int) -> str:
    settings = (VERSION, NUM_FEATURES, num_steps, BATCH_SIZE, LEARNING_RATE, SEED, labels.exclusive)
    digest = hashlib.sha256(repr((settings, tuple(images.shape), labels.names)).encode())
    for part in (*images.split(4096), labels.values):
        digest.update(part.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _load(classifier: Classifier, path: Path) -> bool:
    try:
        classifier.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except FileNotFoundError:
        return False
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, LookupError, AttributeError):
        logger.warning("%s is damaged: training the classifier anew", path)
        return False
    return True


def _store(classifier: Classifier, path: Path) -> None:
    """Keep it for the next time; where that fails, the next time trains it again."""
    content = io.BytesIO()
    torch.save(classifier.state_dict(), content)
    try:
        write_whole(path, content.getbuffer())
    except OSError as error:
        logger.warning("the classifier is not kept: %s", error)
