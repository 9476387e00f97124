"""TensorBoard's files, which must not stand in the way of what a run that fails has to say."""

from collections.abc import Mapping
from contextlib import suppress

from lightning.pytorch.loggers import TensorBoardLogger


class Figures(TensorBoardLogger):
    """Lightning's logger, but what is told of a full disk is that, and once."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Write figures.

        Raises:
            OSError: The file cannot be written; Lightning would call it a figure of the wrong kind.
        """
        try:
            super().log_metrics(metrics, step)
        except ValueError as error:
            if isinstance(error.__cause__, OSError):
                raise error.__cause__ from None
            raise

    def finalize(self, status: str) -> None:
        """Close the file; what could not be written before cannot be written now."""
        with suppress(OSError):
            super().finalize(status)
