from pathlib import Path

import pytest
import torch
from torch import Tensor

from training.data.labels import Labels, as_classes
from training.evaluate.classifier import accuracy, trained_classifier

CPU = torch.device("cpu")
NUM_STEPS = 100


def striped(num: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """Noisy pictures with a stripe across or down, uint8 (N, 1, 9, 9), and which, int64 (N,)."""
    generator = torch.Generator().manual_seed(seed)
    is_down = torch.randint(2, (num,), generator=generator)
    images = torch.randint(0, 100, (num, 1, 9, 9), generator=generator, dtype=torch.uint8)
    places = torch.randint(9, (num,), generator=generator)
    for image, down, place in zip(images, is_down, places, strict=True):
        (image[0].T if down else image[0])[place] = 255
    return images, is_down


def test_it_learns_classes(tmp_path: Path) -> None:
    images, is_down = striped(500, seed=0)
    labels = as_classes(is_down, ("across", "down"))
    classifier = trained_classifier(images, labels, cache=tmp_path, device=CPU, num_steps=NUM_STEPS)
    others, answers = striped(200, seed=1)
    assert accuracy(classifier, others, as_classes(answers, ("across", "down"))) > 0.95
    features = classifier.features(images)
    torch.testing.assert_close(features.mean(dim=0), torch.zeros(64), atol=1e-4, rtol=0)
    torch.testing.assert_close(features.std(dim=0), torch.ones(64), atol=1e-3, rtol=0)


def test_the_units_of_its_features_are_those_of_all_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.evaluate.classifier.MAX_STANDARDIZED", 50)
    images = torch.cat([torch.full((50, 1, 9, 9), level, dtype=torch.uint8) for level in (0, 255)])
    labels = as_classes(torch.arange(100) // 50, ("black", "white"))
    features = trained_classifier(images, labels, cache=tmp_path, device=CPU, num_steps=1).features(images)
    torch.testing.assert_close(features.mean(dim=0), torch.zeros(64), atol=1e-3, rtol=0)


def test_it_learns_attributes_that_exclude_each_other_or_not(tmp_path: Path) -> None:
    images, is_down = striped(500, seed=0)
    is_inverted = torch.arange(500) % 3 == 0
    images[is_inverted] = 255 - images[is_inverted]
    labels = Labels(
        ("down", "inverted"), torch.stack([is_down, is_inverted], dim=1).to(torch.uint8), exclusive=False
    )
    classifier = trained_classifier(images, labels, cache=tmp_path, device=CPU, num_steps=NUM_STEPS)
    assert accuracy(classifier, images, labels) > 0.95


def test_it_is_trained_once_for_the_same_images_and_labels(tmp_path: Path) -> None:
    images, is_down = striped(100, seed=0)
    labels, others = as_classes(is_down, ("across", "down")), as_classes(1 - is_down, ("across", "down"))
    first = trained_classifier(images, labels, cache=tmp_path / "cache", device=CPU, num_steps=3)
    (path,) = (tmp_path / "cache").iterdir()
    written = path.stat().st_mtime_ns
    again = trained_classifier(images, labels, cache=tmp_path / "cache", device=CPU, num_steps=3)
    assert path.stat().st_mtime_ns == written
    assert torch.equal(first.features(images), again.features(images))
    trained_classifier(images, others, cache=tmp_path / "cache", device=CPU, num_steps=3)
    trained_classifier(images[:, :, :8], labels, cache=tmp_path / "cache", device=CPU, num_steps=3)
    assert len(list((tmp_path / "cache").iterdir())) == 3


def test_the_same_images_give_the_same_classifier_whatever_was_drawn_before(tmp_path: Path) -> None:
    images, is_down = striped(100, seed=0)
    labels = as_classes(is_down, ("across", "down"))
    features = []
    for name in ("one", "two"):
        torch.rand(7)
        state = torch.random.get_rng_state()
        classifier = trained_classifier(images, labels, cache=tmp_path / name, device=CPU, num_steps=3)
        assert torch.equal(torch.random.get_rng_state(), state)
        features.append(classifier.features(images))
    torch.testing.assert_close(*features)


def test_a_damaged_file_is_said_and_replaced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    images, is_down = striped(100, seed=0)
    labels = as_classes(is_down, ("across", "down"))
    first = trained_classifier(images, labels, cache=tmp_path, device=CPU, num_steps=3)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:1000])
    again = trained_classifier(images, labels, cache=tmp_path, device=CPU, num_steps=3)
    assert "is damaged: training the classifier anew" in caplog.text
    torch.testing.assert_close(first.features(images), again.features(images))
    assert torch.load(path, weights_only=True)


def test_a_cache_that_cannot_be_written_to_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("a file")
    images, is_down = striped(50, seed=0)
    labels = as_classes(is_down, ("across", "down"))
    trained_classifier(images, labels, cache=tmp_path / "cache", device=CPU, num_steps=3)
    assert "the classifier is not kept" in caplog.text
