"""PNG: a signature, then chunks of length, kind, content and checksum (https://www.w3.org/TR/png-3/)."""

import struct
from collections.abc import Iterator
from zlib import crc32

from service.preparation import exif_orientation
from service.vae.formats.parts import MAX_PARTS, Damaged, Parts

SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEADER_BYTES = 13
PALETTE_COLOURS = b"\3"
# An animation's further frames are in chunks of other kinds.
KEPT = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")


def png_parts(content: bytes) -> Parts:
    """Leave in a PNG only what makes its pixels; of an animation that is its first frame.

    Raises:
        Damaged: Also where a checksum is wrong, which Pillow does not look at in the pixels.
    """
    view = memoryview(content)
    kept = [view[: len(SIGNATURE)]]
    header = b""
    kinds = set()
    orientation = 1
    for kind, start, end in _chunks(content):
        if (kind == b"IHDR") != (not header):
            raise Damaged("its header is not its first chunk, or not its only one")
        header = header or content[start + 8 : end - 4]
        if kind == b"eXIf":
            orientation = exif_orientation(content[start + 8 : end - 4])
        if kind in KEPT:
            if crc32(view[start + 4 : end - 4]) != struct.unpack_from(">I", content, end - 4)[0]:
                raise Damaged(f"the checksum of its chunk {kind.decode()} is wrong")
            kept.append(view[start:end])
            kinds.add(kind)
    if len(header) != HEADER_BYTES:
        raise Damaged("its header has the wrong length")
    if header[9:10] == PALETTE_COLOURS and b"PLTE" not in kinds:
        raise Damaged("it has no palette")
    return Parts(b"".join(kept), struct.unpack_from(">II", header), "a PNG", orientation)


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of each chunk, up to the one that ends the picture."""
    start = len(SIGNATURE)
    for _ in range(MAX_PARTS):
        if start + 12 > len(content):
            raise Damaged("it ends early")
        length, kind = struct.unpack_from(">I4s", content, start)
        end = start + 12 + length
        if end > len(content):
            raise Damaged("it ends early")
        yield kind, start, end
        if kind == b"IEND":
            return
        start = end
    raise Damaged(f"it has more than {MAX_PARTS} chunks")
