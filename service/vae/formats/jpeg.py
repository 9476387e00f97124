"""JPEG: segments of marker, length and content, then scans of entropy-coded data (ITU-T T.81, annex B)."""

import math
import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from service.preparation import exif_orientation
from service.vae.formats.parts import Damaged, Parts

START_OF_IMAGE = b"\xff\xd8"
# Markers of what has a length; neither restarts nor stuffed bytes.
MARKER = re.compile(rb"\xff([\xc0-\xcf\xda-\xfe])")
START_OF_SCAN, END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"
FRAMES = {0xC0: "baseline", 0xC1: "extended", 0xC2: "progressive"}
OTHER_FRAMES = (0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
HUFFMAN, SCAN, QUANTIZATION, RESTARTS = 0xC4, 0xDA, 0xDB, 0xDD
JFIF, EXIF, ADOBE = 0xE0, 0xE1, 0xEE  # the first and the last tell the colour space
EXIF_NAME = b"Exif\0\0"
KEPT = (*FRAMES, HUFFMAN, QUANTIZATION, RESTARTS, JFIF, ADOBE)
# Cameras and editors write some hundreds at most, for previews and depth maps.
MAX_SEGMENTS = 2_000
# Between two segments some files have a few bytes of padding.
MAX_GAP_BYTES = 1024
# Each scan goes over the whole picture, however little it adds; encoders write about ten.
MAX_SCANS = 32


class _Frame(NamedTuple):
    size: tuple[int, int]
    num_components: int
    is_progressive: bool
    coefficient_bytes: int


def jpeg_parts(content: bytes) -> Parts:
    """Leave in a JPEG only what makes its pixels; of several pictures (MPO) that is the first.

    Raises:
        Damaged: Also where the file has more than MAX_SCANS scans.
    """
    kept = [START_OF_IMAGE]
    frame: _Frame | None = None
    orientation = 0
    for marker, start, end in _segments(content):
        if marker in OTHER_FRAMES or (marker in FRAMES and frame is not None):
            raise Damaged(f"only {', '.join(FRAMES.values())} JPEG of one frame can be read")
        if marker in FRAMES:
            frame = _read_frame(content[start:end])
        if marker == EXIF and not orientation and content.startswith(EXIF_NAME, start + 4):
            orientation = exif_orientation(content[start + 4 : end])
        if marker in KEPT:
            kept.append(content[start:end])
    if frame is None:
        raise Damaged("it does not say its size before its pixels")
    num_scanned = int.from_bytes(content[start + 4 : start + 5], "big")
    if not frame.is_progressive and num_scanned == frame.num_components:
        return Parts(b"".join([*kept, content[start:]]), frame.size, "a JPEG", orientation or 1)
    # Several scans are gathered as coefficients of the whole picture before there is a pixel.
    kept.append(_scans(content, start))
    return Parts(b"".join(kept), frame.size, "a progressive JPEG", orientation or 1, frame.coefficient_bytes)


def _segments(content: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of each segment, up to the header of the first scan."""
    end = len(START_OF_IMAGE)
    for _ in range(MAX_SEGMENTS):
        found = MARKER.search(content, end, end + MAX_GAP_BYTES)
        if found is None:
            raise Damaged("it ends early, or has other data between its segments")
        length = int.from_bytes(content[found.end() : found.end() + 2], "big")
        end = found.end() + length
        if length < 2:
            raise Damaged("a segment is shorter than its own length")
        if end > len(content):
            raise Damaged("it ends early")
        yield found[1][0], found.start(), end
        if found[1][0] == SCAN:
            return
    raise Damaged(f"it has more than {MAX_SEGMENTS} segments")


def _scans(content: bytes, start: int) -> bytes:
    """All scans of one picture, the first of which begins at `start`."""
    end = content.find(END_OF_IMAGE, start)
    end = len(content) if end < 0 else end + len(END_OF_IMAGE)
    if content.count(START_OF_SCAN, start, end) > MAX_SCANS:
        raise Damaged(f"it has more than {MAX_SCANS} scans")
    return content[start:end]


def _read_frame(segment: bytes) -> _Frame:
    """Size and sampling of a frame header."""
    if len(segment) < 10 or len(segment) != 10 + 3 * segment[9]:
        raise Damaged("its frame header has the wrong length")
    height, width, num_components = struct.unpack_from(">HHB", segment, 5)
    factors = [(value >> 4, value & 15) for value in segment[11::3]]
    if num_components not in (1, 3, 4) or not all(1 <= f <= 4 for pair in factors for f in pair):
        raise Damaged("its components or their sampling are out of range")
    columns = math.ceil(width / (8 * max(across for across, _ in factors)))
    rows = math.ceil(height / (8 * max(down for _, down in factors)))
    num_blocks = sum(columns * across * rows * down for across, down in factors)
    return _Frame((width, height), num_components, segment[1] == 0xC2, num_blocks * 64 * 2)
