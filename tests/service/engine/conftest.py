from pathlib import Path

import pytest
import torch

from service import checkpoint
from service.vae.precision import Precision
from service.vae.runtime import Runtime


@pytest.fixture(scope="module")
def runtime(tiny_checkpoint: Path, device: torch.device) -> Runtime:
    """The tiny checkpoint in batches of at most 4."""
    loaded = checkpoint.load(tiny_checkpoint)
    return Runtime(loaded, device, precision=Precision.FLOAT32, max_batch_size=4)
