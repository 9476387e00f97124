"""TensorBoard's files, which must not stand in the way of what a run that fails has to say."""

from contextlib import suppress

from lightning.pytorch.loggers import TensorBoardLogger


class Figures(TensorBoardLogger):
    """Lightning's logger, but on a full disk the first error is the one that is told."""

    def finalize(self, status: str) -> None:
        """Close the file; what could not be written before cannot be written now."""
        with suppress(OSError):
            super().finalize(status)
