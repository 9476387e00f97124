"""WebP: a RIFF file of chunks (RFC 9649)."""

import math
import struct
from collections.abc import Iterator

from service.preparation import exif_orientation
from service.vae.formats.parts import MAX_PARTS, Damaged, Parts

HEADER_BYTES = 12
PICTURE = (b"VP8 ", b"VP8L")
ONCE = (*PICTURE, b"ALPH", b"ANIM", b"ANMF")
# Of the flags of an extended file those for alpha and animation; the others announce metadata.
KEPT_FLAGS = 0x12
# Pillow's decoder holds two canvases, a copy, and what lossless coding needs, beside the picture.
EXTRA_BYTES_A_PIXEL = 12
# Lossless coding may have a set of tables for every 4x4 pixels. They take 12 KB at most; the least that
# describes a set, 20 bits, makes one of 5.6 KB.
MAX_SETS = 2**16
SET_BYTES = 12_400
TABLE_BYTES_A_FILE_BYTE = 2_300


def webp_parts(content: bytes) -> Parts:
    """Leave in a WebP only what makes its pixels; of an animation that is its first frame.

    Raises:
        Damaged: A chunk is not there, or longer than the file.
    """
    kept: dict[bytes, bytes] = {}
    orientation = 1
    for kind, start, end in _chunks(content):
        if kind in ONCE or (kind == b"VP8X" and not kept):
            kept.setdefault(kind, content[start:end] + b"\0" * (end % 2))
        if kind == b"EXIF":
            orientation = exif_orientation(content[start + 8 : end])
        if next(iter(kept), None) in PICTURE:
            break
    size = _size(next(iter(kept.values()), b""))
    if b"VP8X" in kept:
        header = kept[b"VP8X"]
        kept[b"VP8X"] = header[:8] + bytes([header[8] & KEPT_FLAGS]) + header[9:]
    body = b"".join(kept.values())
    file = b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body
    width, height = size
    extra_bytes = EXTRA_BYTES_A_PIXEL * width * height
    if b"VP8L" in body or b"ALPH" in body:
        num_sets = min(MAX_SETS, math.ceil(width / 4) * math.ceil(height / 4))
        extra_bytes += min(SET_BYTES * num_sets, TABLE_BYTES_A_FILE_BYTE * len(body))
        return Parts(file, size, "a lossless WebP, or one with alpha,", orientation, extra_bytes)
    return Parts(file, size, "a WebP", orientation, extra_bytes)


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of each chunk; a chunk of odd length is followed by a byte of padding."""
    announced = 8 + int.from_bytes(content[4:8], "little")
    if announced > len(content):
        raise Damaged("it ends early")
    start = HEADER_BYTES
    for _ in range(MAX_PARTS):
        if start + 8 > announced:
            return
        kind, length = struct.unpack_from("<4sI", content, start)
        end = start + 8 + length
        if end > announced:
            raise Damaged("it ends early")
        yield kind, start, end
        start = end + length % 2
    raise Damaged(f"it has more than {MAX_PARTS} chunks")


def _size(chunk: bytes) -> tuple[int, int]:
    """Width and height from the first chunk of a file."""
    kind, content = chunk[:4], chunk[8:]
    if kind == b"VP8 " and len(content) >= 10 and content[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", content, 6)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L" and len(content) >= 5 and content[0] == 0x2F:
        bits = int.from_bytes(content[1:5], "little")
        return (bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1
    if kind == b"VP8X" and len(content) >= 10:
        return int.from_bytes(content[4:7], "little") + 1, int.from_bytes(content[7:10], "little") + 1
    raise Damaged("it does not begin with its size")
