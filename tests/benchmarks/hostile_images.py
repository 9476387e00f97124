"""What uploads cost that are made to cost much: the status, time and memory of each, over HTTP.

python -m tests.benchmarks.hostile_images
"""

import argparse
import sys
import time
from typing import NamedTuple

import httpx
from PIL import Image
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from service.settings import SHIPPED_CHECKPOINT
from tests.benchmarks.servers import as_shipped
from tests.benchmarks.vitals import peak_rss_bytes, reset_peak_rss, vitals
from tests.hostile_images import HostileImage, hostile_images
from tests.pictures import file_of

MEBIBYTE = 2**20
MAX_MILLISECONDS, MAX_MEBIBYTES = 250.0, 64.0


class Cost(NamedTuple):
    """Of one upload.

    Attributes:
        status: Of the answer.
        milliseconds: Until it was there.
        mebibytes: The most memory that the server's process held, above what it held at rest.
    """

    status: int
    milliseconds: float
    mebibytes: float


def main(arguments: list[str] | None = None) -> int:
    """Print the table; 1 where an upload costs more than it may, or has another answer."""
    _parser().parse_args(arguments)
    table = Table(title="Hostile images", title_justify="left", box=box.MARKDOWN)
    for name in ("upload", "bytes", "status", "ms", "MiB"):
        table.add_column(name, justify="left" if name == "upload" else "right", no_wrap=True)
    is_well = True
    for row in track(hostile_images(), "uploading", console=Console(stderr=True)):
        content = row.make()
        found = cost_to_a_fresh_server(row, content)
        is_well &= found.status == row.status
        is_well &= found.milliseconds <= MAX_MILLISECONDS and found.mebibytes <= MAX_MEBIBYTES
        shown = (found.status, f"{found.milliseconds:.1f}", f"{found.mebibytes:.1f}")
        table.add_row(row.name, f"{len(content):,}", *map(str, shown))
    Console().print(table)
    return 0 if is_well else 1


def cost_to_a_fresh_server(row: HostileImage, content: bytes) -> Cost:
    """Send one upload to a server that holds nothing yet that its allocator could use again."""
    server = as_shipped(SHIPPED_CHECKPOINT)
    with server, httpx.Client(base_url=server.url, timeout=60) as client:
        return cost(client, server.pid, row, content, bytes_at_rest(client, server.pid))


def bytes_at_rest(client: httpx.Client, pid: int) -> int:
    """What a server's process holds once it has seen an upload."""
    content = file_of(Image.new("RGB", (64, 64)))
    client.post("/encode", content=content, headers={"Content-Type": "image/png"}).raise_for_status()
    return vitals(pid).rss_bytes


def cost(client: httpx.Client, pid: int, row: HostileImage, content: bytes, rest_bytes: int) -> Cost:
    """Send one upload to a server's process on this machine."""
    reset_peak_rss(pid)
    started = time.perf_counter()
    answer = client.post("/encode", content=content, headers={"Content-Type": row.media_type})
    seconds = time.perf_counter() - started
    return Cost(answer.status_code, 1000 * seconds, (peak_rss_bytes(pid) - rest_bytes) / MEBIBYTE)


def _parser() -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog="python -m tests.benchmarks.hostile_images",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


if __name__ == "__main__":
    sys.exit(main())
