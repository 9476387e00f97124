import gzip
from pathlib import Path

import numpy as np
import pytest

NUM_IMAGES = 200


@pytest.fixture(scope="session")
def real_images(real_data: Path) -> np.ndarray:
    """The first test images of Fashion-MNIST: uint8 (200, 28, 28, 1)."""
    path = real_data / "fashion-mnist" / "FashionMNIST" / "raw" / "t10k-images-idx3-ubyte.gz"
    if not path.is_file():
        pytest.skip(f"no real data: {path} does not exist")
    content = gzip.decompress(path.read_bytes())
    num, height, width = np.frombuffer(content, ">u4", 3, 4)
    pixels = np.frombuffer(content, np.uint8, offset=16).reshape(num, height, width, 1)
    return pixels[:NUM_IMAGES]
