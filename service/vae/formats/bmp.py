"""BMP: a file header, one of several picture headers, a palette, rows of pixels."""

import struct

from service.vae.formats.parts import Damaged, Parts

OLD_HEADER_BYTES = 12
HEADER_BYTES = (40, 52, 56, 64, 108, 124)
RUN_LENGTHS = (1, 2)


def bmp_parts(content: bytes) -> Parts:
    """Check a BMP's header; there is nothing in the file but the picture.

    Raises:
        Damaged: Also where it is compressed: Pillow undoes run lengths a byte at a time, in Python.
    """
    (header_bytes,) = struct.unpack_from("<I", content.ljust(18, b"\0"), 14)
    if len(content) < 14 + min(header_bytes, max(HEADER_BYTES)):
        raise Damaged("it ends early")
    if header_bytes == OLD_HEADER_BYTES:
        return Parts(content, struct.unpack_from("<HH", content, 18), "a BMP")
    if header_bytes not in HEADER_BYTES:
        raise Damaged("its header is of no known version")
    width, height, compression = struct.unpack_from("<ii4xI", content, 18)
    if compression in RUN_LENGTHS:
        raise Damaged("run-length compressed BMP cannot be read, save it uncompressed")
    return Parts(content, (width, abs(height)), "a BMP")
