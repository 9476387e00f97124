"""Mutated image files through the decoder of uploads: each is a picture or one of two errors.

python -m tests.benchmarks.fuzz --cases 200000
"""

import argparse
import os
import random
import struct
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.progress import Progress

from service.errors import BadImage, TooLarge
from service.metadata import Preprocessing
from service.settings import Settings
from service.vae.images import ImageLimits, check_image
from tests.benchmarks.vitals import peak_rss_bytes, reset_peak_rss, vitals
from tests.crafted import PNG_SIGNATURE, exif_block, lossless_webp_of_tables, png_chunk, png_file
from tests.mutations import mutated
from tests.pictures import file_of, noise, picture

MEBIBYTE = 2**20
# After so many cases everything that is loaded once has been.
WARM_UP_CASES = 1000
IMAGE_SHAPE = (3, 64, 64)
SQUARE = Preprocessing(crop="square")


class Findings(NamedTuple):
    """What became of the cases.

    Attributes:
        outcomes: How many were taken, and how many were refused with which error.
        escaped: Cases that raised anything else, with the exception.
        worst_seconds: The time of the slowest.
        grown_bytes: By which the process's memory went up at most, once it was warm.
    """

    outcomes: Counter[str]
    escaped: list[tuple[bytes, Exception]]
    worst_seconds: float
    grown_bytes: int


def main(arguments: list[str] | None = None) -> int:
    """Print what became of them; 1 where an exception escaped, whose file is kept."""
    options = _parser().parse_args(arguments)
    console = Console()
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("decoding", total=options.cases)
        found = fuzz(options.cases, seed=options.seed, say=lambda: progress.advance(task))
    for name, num in found.outcomes.most_common():
        console.print(f"{num:>9,} {name}")
    grown = found.grown_bytes / MEBIBYTE
    console.print(
        f"the slowest took {1000 * found.worst_seconds:.0f} ms, memory rose by {grown:.0f} MiB at most"
    )
    for index, (content, error) in enumerate(found.escaped):
        path = options.folder / f"escaped_{index}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        console.print(f"ESCAPED: {error!r}, of {path}")
    return 1 if found.escaped else 0


def fuzz(num_cases: int, *, seed: int = 0, say: Callable[[], None] = lambda: None) -> Findings:
    """Decode so many mutations in this process, with the limits of a server."""
    warnings.filterwarnings("ignore", module="PIL")  # as a server does
    shipped = Settings()
    limits = ImageLimits(shipped.max_image_pixels, shipped.max_image_side, shipped.max_decode_bytes)
    warm_bytes, worst_seconds = 0, 0.0
    outcomes: Counter[str] = Counter()
    escaped: list[tuple[bytes, Exception]] = []
    for index, content in zip(range(num_cases), mutations(random.Random(seed)), strict=False):
        if index == min(WARM_UP_CASES, num_cases // 2):
            reset_peak_rss(os.getpid())
            warm_bytes = vitals(os.getpid()).rss_bytes
        started = time.perf_counter()
        try:
            check_image(content, SQUARE, IMAGE_SHAPE, limits=limits, media_type=None).pixels()
            outcomes["taken"] += 1
        except (BadImage, TooLarge) as error:
            outcomes[type(error).__name__] += 1
        except Exception as error:
            escaped.append((content, error))
        worst_seconds = max(worst_seconds, time.perf_counter() - started)
        say()
    return Findings(outcomes, escaped, worst_seconds, peak_rss_bytes(os.getpid()) - warm_bytes)


def mutations(random_: random.Random) -> Iterator[bytes]:
    """Files without end, each changed in a few places; of PNG also such as have right checksums."""
    files = corpus()
    while True:
        content = random_.choice(files)
        if content.startswith(PNG_SIGNATURE) and random_.random() < 0.7:
            yield with_a_mutated_chunk(content, random_)
        else:
            yield mutated(content, random_)


def with_a_mutated_chunk(png: bytes, random_: random.Random) -> bytes:
    """A PNG of which one chunk is changed, and its checksum with it: that is what gets past checksums."""
    chunks, start = [], len(PNG_SIGNATURE)
    while start < len(png):
        (length,) = struct.unpack_from(">I", png, start)
        chunks.append((png[start + 4 : start + 8], png[start + 8 : start + 8 + length]))
        start += 12 + length
    chosen = random_.randrange(len(chunks))
    kind, content = chunks[chosen]
    chunks[chosen] = (kind, mutated(content, random_))
    return PNG_SIGNATURE + b"".join(png_chunk(*chunk) for chunk in chunks)


def corpus() -> list[bytes]:
    """Small files of every format, mode and way to write them."""
    colour = picture(noise(40, 56, 3))
    exif = exif_block((0x0112, 3, 1, 6))
    kinds = {"PNG": ("1", "L", "P", "LA", "RGB", "RGBA"), "BMP": ("1", "L", "P", "RGB")}
    files = [file_of(colour.convert(mode), kind) for kind, modes in kinds.items() for mode in modes]
    files += [file_of(colour.convert(mode), "JPEG", exif=exif) for mode in ("L", "RGB", "CMYK")]
    files += [file_of(colour, "JPEG", progressive=True, subsampling=level) for level in (0, 2)]
    files += [file_of(colour, "WEBP", lossless=lossless, exif=exif) for lossless in (False, True)]
    files += [file_of(colour.convert("RGBA"), "WEBP"), lossless_webp_of_tables(64, 256)]
    files += [
        png_file(40, 40, colour=kind, depth=depth) for kind, depth in ((0, 2), (0, 16), (2, 16), (6, 16))
    ]
    several = {"save_all": True, "append_images": [colour.rotate(90), colour.rotate(180)]}
    return [*files, *(file_of(colour, kind, **several) for kind in ("PNG", "WEBP", "MPO"))]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.fuzz",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--cases", type=int, default=200_000, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="the same seed makes the same cases")
    folder = Path(__file__).parent / "results"
    parser.add_argument("--folder", type=Path, default=folder, help="where files that break it are kept")
    return parser


if __name__ == "__main__":
    sys.exit(main())
