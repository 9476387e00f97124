"""Images to PNG bytes: a batch is filtered as one array operation, then deflated by ISA-L.

ISA-L's deflate releases the GIL, so threads scale. See the PNG specification, third edition,
https://www.w3.org/TR/png-3/.

Shapes: N images, H height, W width, C channels.
"""

import struct
from collections.abc import Mapping, Sequence
from zlib import crc32

import numpy as np
from isal import isal_zlib

from service.scripted import UInt8Array

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # channels: grey, grey and alpha, RGB, RGB and alpha
SUB_FILTER = 1
# For each compression ISA-L's level. Its levels 1 and 2 write some flat pictures (of 28x28 pictures of four
# squares one in a hundred) in other bytes from thread to thread, as the address of the stack has it.
LEVELS = (0, 3, 3, 3)
MAX_COMPRESSION = len(LEVELS) - 1
END = struct.pack(">I4sI", 0, b"IEND", crc32(b"IEND"))


def encode_png(
    images: UInt8Array, texts: Sequence[Mapping[str, str]] = (), *, compression: int = 1
) -> list[bytes]:
    """Encode images as PNG files, losslessly; the same images give the same bytes in any thread.

    Args:
        images: uint8 (N, H, W, C), C from 1 to 4.
        texts: For each image its tEXt chunks, keyword to Latin-1 text; none where empty.
        compression: 0 (fast), or 1 to 3 (small), which are alike.

    Returns:
        N files.
    """
    num, height, width, channels = images.shape
    header = struct.pack(">IIBBBBB", width, height, 8, COLOUR_TYPES[channels], 0, 0, 0)
    start = SIGNATURE + _chunk(b"IHDR", header)
    filtered = _sub_filter(images)
    files = []
    for index in range(num):
        chunks = [_text_chunk(keyword, text) for keyword, text in texts[index].items()] if texts else []
        pixels = _chunk(b"IDAT", isal_zlib.compress(filtered[index], LEVELS[compression]))
        files.append(b"".join([start, *chunks, pixels, END]))
    return files


def _sub_filter(images: UInt8Array) -> UInt8Array:
    """Bytes less those one pixel to their left, rows led by the filter number: uint8 (N, H, 1 + WC)."""
    num, height, width, channels = images.shape
    rows = images.reshape(num, height, width * channels)
    filtered = np.empty((num, height, 1 + width * channels), np.uint8)
    filtered[:, :, 0] = SUB_FILTER
    filtered[:, :, 1 : 1 + channels] = rows[:, :, :channels]
    np.subtract(rows[:, :, channels:], rows[:, :, :-channels], out=filtered[:, :, 1 + channels :])
    return filtered


def _text_chunk(keyword: str, text: str) -> bytes:
    return _chunk(b"tEXt", keyword.encode("latin-1") + b"\0" + text.encode("latin-1", "replace"))


def _chunk(kind: bytes, content: bytes) -> bytes:
    return b"".join(
        [struct.pack(">I", len(content)), kind, content, struct.pack(">I", crc32(content, crc32(kind)))]
    )
