"""The promise of a seed over HTTP: the same bytes for any n, under load, and after a restart."""

import base64
import io
import itertools
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest

from tests.live_server import LiveServer
from tests.scrape import samples

SEED = 20_260_102
NUM_IMAGES = 64
NUM_THREADS = 24
SECONDS = 60


@pytest.fixture(scope="module")
def client(server: LiveServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=SECONDS) as client:
        yield client


@pytest.fixture(scope="module")
def alone(client: httpx.Client) -> list[bytes]:
    """The 64 files of the seed, asked for while nothing else was."""
    return sample(client, NUM_IMAGES)


def sample(client: httpx.Client, n: int, seed: int = SEED) -> list[bytes]:
    answer = client.post("/sample", json={"n": n, "seed": seed})
    assert answer.status_code == 200, answer.text
    return [base64.b64decode(item["b64_json"]) for item in answer.json()["data"]]


@contextmanager
def load(url: str) -> Iterator[None]:
    """Clients that ask for samples of other seeds and mixed n for as long as the block runs."""
    is_over = False

    def ask(start: int) -> int:
        with httpx.Client(base_url=url, timeout=SECONDS) as client:
            for turn in itertools.count():
                if is_over:
                    return turn
                client.post("/sample", json={"n": 1 + (start + turn) % 40, "seed": turn})
        return 0

    with ThreadPoolExecutor(NUM_THREADS // 2) as pool:
        clients = [pool.submit(ask, start) for start in range(NUM_THREADS // 2)]
        try:
            yield
        finally:
            is_over = True
        assert all(client.result() >= 1 for client in clients)


@pytest.mark.parametrize("n", [1, 2, 7, 63])
def test_fewer_images_are_the_first_of_many(client: httpx.Client, alone: list[bytes], n: int) -> None:
    assert sample(client, n) == alone[:n]


def test_one_image_as_png_is_the_first_of_64(client: httpx.Client, alone: list[bytes]) -> None:
    answer = client.post("/sample", json={"seed": SEED}, headers={"accept": "image/png"})
    assert answer.content == alone[0]


def test_a_zip_holds_the_same_files(client: httpx.Client, alone: list[bytes]) -> None:
    request = {"n": NUM_IMAGES, "seed": SEED}
    answer = client.post("/sample", json=request, headers={"accept": "application/zip"})
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert [archive.read(name) for name in archive.namelist()[:-1]] == alone


def test_the_bytes_are_the_same_under_load(server: LiveServer, alone: list[bytes]) -> None:
    def ask(n: int) -> tuple[int, list[bytes]]:
        with httpx.Client(base_url=server.url, timeout=SECONDS) as client:
            return n, sample(client, n)

    with load(server.url), ThreadPoolExecutor(NUM_THREADS // 2) as pool:
        answers = list(pool.map(ask, [1, 64, 2, 33, 5, 17, 1, 9] * 4))
    for n, files in answers:
        assert files == alone[:n]


def test_requests_that_arrive_together_share_batches(request: pytest.FixtureRequest) -> None:
    def ask(seed: int) -> None:
        with httpx.Client(base_url=live.url, timeout=SECONDS) as one:
            for turn in range(5):
                sample(one, 1, seed=100 * seed + turn)

    device = str(request.config.getoption("--device"))
    # Of many lanes each request might find one idle, and have a batch to itself.
    with LiveServer("--device", device, "--device-threads", "1") as live, ThreadPoolExecutor(64) as pool:
        list(pool.map(ask, range(64)))
        found = samples(httpx.get(f"{live.url}/metrics").text)
    assert live.exit_code == 0
    items, batches = (found[f'vae_batch_items_{part}{{operation="decode"}}'] for part in ("sum", "count"))
    assert items == 64 * 5
    assert batches < items


def test_the_bytes_are_the_same_after_a_restart(
    server: LiveServer, alone: list[bytes], request: pytest.FixtureRequest
) -> None:
    device = str(request.config.getoption("--device"))
    with LiveServer("--device", device) as restarted:
        assert restarted.url != server.url
        with httpx.Client(base_url=restarted.url, timeout=SECONDS) as client:
            # The other way round, so that nothing depends on what was asked first.
            first = sample(client, 1)
            many = sample(client, NUM_IMAGES)
    assert restarted.exit_code == 0
    assert first == alone[:1]
    assert many == alone
