import pytest
import torch

from training.data.labels import Labels, as_classes
from training.errors import ConfigError
from training.report.classes import classes_from

ATTRIBUTES = Labels(("Bald", "Smiling"), torch.tensor([[0, 1], [1, 1], [0, 0]], dtype=torch.uint8), False)


def test_exclusive_labels_are_classes() -> None:
    classes = classes_from(as_classes(torch.tensor([2, 0]), "abc"), dataset="folder", attribute=None)
    assert classes is not None
    assert [classes.names[index] for index in classes.indices] == ["c", "a"]


def test_clothes_have_names() -> None:
    labels = as_classes(torch.tensor([9, 1]), "0123456789")
    classes = classes_from(labels, dataset="fashion-mnist", attribute=None)
    assert classes is not None
    assert [classes.names[index] for index in classes.indices] == ["Ankle boot", "Trouser"]


def test_the_rarest_of_many_classes_become_one() -> None:
    indices = torch.tensor([*range(12), *range(2, 11)])  # 0, 1 and 11 are there once, the others twice
    names = [f"class {index}" for index in range(12)]
    classes = classes_from(as_classes(indices, names), dataset="folder", attribute=None)
    assert classes is not None
    assert len(classes.names) == 10
    shown = [classes.names[index] for index in classes.indices]
    assert shown == ["others" if index in (0, 1, 11) else f"class {index}" for index in indices.tolist()]


def test_one_attribute_makes_two_classes() -> None:
    classes = classes_from(ATTRIBUTES, dataset="celeba", attribute="Bald")
    assert classes is not None
    assert classes.names == ("not Bald", "Bald")
    assert classes.indices.tolist() == [0, 1, 0]


def test_without_an_attribute_or_labels_there_are_no_classes() -> None:
    assert classes_from(ATTRIBUTES, dataset="celeba", attribute=None) is None
    assert classes_from(None, dataset="folder", attribute=None) is None


@pytest.mark.parametrize(
    ("labels", "message"), [(ATTRIBUTES, "there are Bald, Smiling"), (None, "only CelebA has")]
)
def test_an_attribute_that_is_not_there_is_named(labels: Labels | None, message: str) -> None:
    with pytest.raises(ConfigError, match=f"'Hat'.*{message}"):
        classes_from(labels, dataset="celeba", attribute="Hat")
