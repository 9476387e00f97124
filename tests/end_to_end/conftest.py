import gzip
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests import curl_scripts
from tests.curl_scripts import RunScript
from tests.live_server import LiveServer
from tests.replica import Replica

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


@pytest.fixture(scope="session")
def replica(tiny_checkpoint: Path) -> Iterator[Replica]:
    """A replica to put behind load balancers: it works on one request, and has room for one more."""
    with Replica(tiny_checkpoint, "--max-queued-items", "2") as replica:
        yield replica


@pytest.fixture
def run_script(server: LiveServer, tmp_path: Path) -> RunScript:
    """Run a script of openapi/curl in an empty folder."""
    return partial(curl_scripts.run_script, folder=tmp_path, base_url=server.url)


@pytest.fixture
def script_error(server: LiveServer, tmp_path: Path) -> RunScript:
    """Run a script of openapi/curl that fails in an empty folder."""
    return partial(curl_scripts.script_error, folder=tmp_path, base_url=server.url)
