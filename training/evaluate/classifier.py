"""A small classifier of a data set's own labels, whose features compare sets of images.

Shapes: N images, B batch, C channels, H height, W width, F features, L labels.
"""

import hashlib
import logging
import os
import pickle
from pathlib import Path

import torch
from rich.progress import track
from torch import Tensor, nn
from torch.nn import functional

from training.data.labels import Labels
from training.lightning_module import as_unit_range

logger = logging.getLogger(__name__)

NUM_FEATURES = 64
NUM_STEPS = 800
BATCH_SIZE = 128
LEARNING_RATE = 2e-3
SEED = 0
# What is stored belongs to this network and this training: raised where either changes.
VERSION = 1


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

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, L) of images (B, C, H, W) in [0, 1]."""
        logits: Tensor = self.head(functional.relu(self.body(images)))
        return logits

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Features (N, F), before they are rectified, of uint8 images (N, C, H, W)."""
        return torch.cat([self.body(as_unit_range(batch)) for batch in images.split(512)])


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
        _store(classifier, path)
    return classifier.eval()


def accuracy(classifier: Classifier, images: Tensor, labels: Labels) -> float:
    """The share of right answers: classes of uint8 images (N, C, H, W), or single attributes of them."""
    logits = classifier.head(functional.relu(classifier.features(images))).cpu()
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
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.{os.getpid()}")
        torch.save(classifier.state_dict(), temporary)
        temporary.replace(path)
    except (OSError, RuntimeError) as error:
        logger.warning("the classifier is not kept: %s", error)
