import logging
from pathlib import Path

import pytest
import torch

from training.evaluate.partial import PartialResults

KEY = {"checkpoint": "abc", "num_samples": 5}


def begun(path: Path, *, num_images: int = 4, **changes: object) -> PartialResults:
    return PartialResults(path, key={**KEY, **changes}, num_images=num_images)


def some_results(path: Path) -> PartialResults:
    results = begun(path)
    results.add([2, 0], torch.tensor([20.0, 0.5], dtype=torch.float64))
    return results


def test_what_was_saved_is_taken_up_again_to_the_last_digit(tmp_path: Path) -> None:
    results = some_results(tmp_path / "some.npz")
    results.add([1], torch.tensor([1 / 3], dtype=torch.float64))
    results.save()
    again = begun(tmp_path / "some.npz")
    assert again.missing() == [3]
    assert again.values[:3].tolist() == [0.5, 1 / 3, 20.0]
    assert [path.name for path in tmp_path.iterdir()] == ["some.npz"]


@pytest.mark.parametrize("changes", [{"checkpoint": "abd"}, {"num_samples": 6}, {"num_images": 3}])
def test_results_of_something_else_are_not_taken_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, changes: dict[str, int]
) -> None:
    some_results(tmp_path / "some.npz").save()
    with caplog.at_level(logging.INFO, logger="training"):
        results = begun(tmp_path / "some.npz", **changes)
    assert results.missing() == list(range(len(results.values)))
    assert "of another evaluation: starting anew" in caplog.text


@pytest.mark.parametrize("kept", [0, 10, 150])
def test_a_damaged_file_is_said_and_not_taken_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kept: int
) -> None:
    path = tmp_path / "some.npz"
    some_results(path).save()
    path.write_bytes(path.read_bytes()[:kept])
    assert begun(path).missing() == [0, 1, 2, 3]
    assert "some.npz is damaged: starting anew" in caplog.text


def test_a_folder_that_cannot_be_written_to_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    results = some_results(tmp_path / "file/some.npz")
    results.save()
    assert "cannot be written" in caplog.text
    assert results.missing() == [1, 3]
