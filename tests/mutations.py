"""Load mutated checkpoints, one after the other: each is loaded or refused, whatever is in it.

    python -m tests.mutations KIND COUNT CHECKPOINT FOLDER

"bytes" changes the file as it lies; "parts" changes one of its parts and makes the archive right again, which
is what gets past checksums. Prints how many were refused and how many loaded; another exception, or a signal,
ends the process.
"""

import random
import sys
from pathlib import Path

from service import checkpoint
from service.errors import InvalidCheckpoint
from tests.planted import files_of, write

KINDS = ("bytes", "parts")


def mutated(content: bytes, random_: random.Random) -> bytes:
    """Content with up to four changes: a flipped bit, another byte, a piece cut, doubled, moved, turned."""
    changed = bytearray(content)
    for _ in range(random_.randint(1, 4)):
        start = random_.randrange(len(changed) + 1)
        end = min(len(changed), start + random_.randint(1, 16))
        piece = changed[start:end]
        match random_.randrange(6):
            case 0 if piece:
                changed[start] ^= 1 << random_.randrange(8)
            case 1 if piece:
                changed[start] = random_.randrange(256)
            case 2:
                del changed[start:end]
            case 3:
                changed[start:start] = piece
            case 4:
                changed[start:end] = random_.choice([b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff", piece[::-1]])
            case _:
                other = random_.randrange(len(changed) + 1)
                changed[start:end] = changed[other : other + len(piece)]
    return bytes(changed)


def mutation(kind: str, source: Path, target: Path, random_: random.Random) -> Path:
    """Write a mutation of a checkpoint."""
    if kind == "bytes":
        target.write_bytes(mutated(source.read_bytes(), random_))
        return target
    files = files_of(source)
    # Weights are most of the bytes, and any are good ones.
    name = random_.choice([name for name in files if "/data/" not in name or random_.random() < 0.1])
    return write(target, {**files, name: mutated(files[name], random_)})


def main(kind: str, count: str, source: str, folder: str) -> None:
    """Load as many mutations as asked for."""
    random_ = random.Random(kind)
    refused = 0
    for _ in range(int(count)):
        path = mutation(kind, Path(source), Path(folder) / "mutated.pt", random_)
        try:
            checkpoint.load(path)
        except InvalidCheckpoint:
            refused += 1
    print(refused, int(count) - refused)  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
