"""Uploads that are made to cost a server much: each has its answer, and takes no more memory than it may."""

from collections.abc import Iterator

import httpx
import pytest

from tests.benchmarks.fuzz import fuzz
from tests.benchmarks.hostile_images import MAX_MEBIBYTES, bytes_at_rest, cost
from tests.hostile_images import HostileImage, hostile_images
from tests.live_server import LiveServer

# What the rows before have left behind: the benchmark measures each with a server of its own.
# A second copy of the largest picture that is taken, of 16 Mpixels, would be 48 MiB.
MEBIBYTES_OF_OTHERS = 16.0


@pytest.fixture(scope="module")
def served() -> Iterator[LiveServer]:
    with LiveServer("--device", "cpu") as live:
        yield live


@pytest.fixture(scope="module")
def client(served: LiveServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.url, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def rest_bytes(served: LiveServer, client: httpx.Client) -> int:
    return bytes_at_rest(client, served.pid)


@pytest.mark.parametrize("row", hostile_images(), ids=lambda row: row.name)
def test_it_has_its_answer_and_takes_no_more_memory_than_it_may(
    served: LiveServer, client: httpx.Client, rest_bytes: int, row: HostileImage
) -> None:
    found = cost(client, served.pid, row, row.make(), rest_bytes)
    assert found.status == row.status
    assert found.mebibytes <= MAX_MEBIBYTES + MEBIBYTES_OF_OTHERS
    assert client.get("/livez").status_code == 200


def test_none_of_them_is_heard_of_in_the_log_beyond_a_line_each(
    served: LiveServer, client: httpx.Client
) -> None:
    num_lines = _lines_so_far(served, client, "first")
    for row in hostile_images():
        client.post("/encode", content=row.make(), headers={"Content-Type": row.media_type})
    assert _lines_so_far(served, client, "last") == num_lines + len(hostile_images()) + 1
    assert "Traceback" not in served.log()


def _lines_so_far(served: LiveServer, client: httpx.Client, request_id: str) -> int:
    """Up to the line of a request of our own: what was written before it may still be on its way to us."""
    client.get("/nowhere", headers={"X-Request-ID": request_id})
    served.wait_until(lambda: f'"{request_id}"' in served.log(), 60)
    return len(served.log().splitlines())


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")
def test_no_exception_escapes_from_mutated_files() -> None:
    found = fuzz(2_000, seed=1)
    assert found.escaped == []
    assert found.outcomes["taken"] > 0
    assert found.outcomes["BadImage"] > 0
