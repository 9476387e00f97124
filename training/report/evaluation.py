"""What `python -m training evaluate` has found of a checkpoint, from the JSON that it leaves beside it."""

from pathlib import Path

from pydantic import BaseModel, ValidationError

from training.errors import TrainingError


class _Protocol(BaseModel):
    split: str
    num_images: int


class _Results(BaseModel):
    protocol: _Protocol
    figures: dict[str, float]


class Evaluation(BaseModel):
    """Measured figures by name, and the images that they are of."""

    figures: dict[str, float]
    split: str
    num_images: int


def read_evaluation(file: Path) -> Evaluation | None:
    """Read the results; None where there are none.

    Raises:
        TrainingError: The file is damaged.
    """
    try:
        results = _Results.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError):
        raise TrainingError(f"{file} is no result of an evaluation: remove it, or evaluate again") from None
    return Evaluation(
        figures=results.figures, split=results.protocol.split, num_images=results.protocol.num_images
    )
