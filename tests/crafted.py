"""Image files put together by hand, for what no encoder writes."""

import struct
import zlib

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of each PNG colour type


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk with a right checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_file(
    width: int,
    height: int,
    *,
    depth: int = 8,
    colour: int = 2,
    interlaced: bool = False,
    extra: bytes = b"",
    pixels: bytes | None = None,
) -> bytes:
    """A PNG; black where nothing is said, deflated as far as it goes.

    Args:
        width: As its header says.
        height: Likewise.
        depth: Bits of a sample.
        colour: PNG's colour type.
        interlaced: As its header says.
        extra: Chunks between the header and the pixels.
        pixels: Its IDAT chunks.
    """
    if pixels is None:
        row = 1 + (width * depth * SAMPLES[colour] + 7) // 8
        pixels = png_chunk(b"IDAT", zlib.compress(bytes(row * height), 9))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    return PNG_SIGNATURE + png_chunk(b"IHDR", header) + extra + pixels + png_chunk(b"IEND", b"")


def png_rows(*rows: bytes) -> bytes:
    """An IDAT chunk of unfiltered rows."""
    return png_chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))


def exif_block(*tags: tuple[int, int, int, int], order: str = "<", offset: int = 8) -> bytes:
    """EXIF of one directory: tag, type, count and value (or its place) of each entry."""
    start = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}I", offset)
    entries = b""
    for tag, kind, count, value in tags:
        entries += struct.pack(f"{order}HHI", tag, kind, count)
        is_short = kind == 3 and count == 1
        entries += struct.pack(f"{order}HH", value, 0) if is_short else struct.pack(f"{order}I", value)
    return start + struct.pack(f"{order}H", len(tags)) + entries + bytes(4)


def jpeg_segment(marker: int, content: bytes) -> bytes:
    """A segment of up to 65,533 bytes."""
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def with_segments(jpeg: bytes, *segments: bytes) -> bytes:
    """A JPEG with more segments at its start."""
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def webp_chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk, padded to an even length."""
    return kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def webp_file(*chunks: bytes) -> bytes:
    """A WebP of the chunks given."""
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp_header(width: int, height: int, *, flags: int = 0) -> bytes:
    """The chunk that starts an extended WebP."""
    sizes = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return webp_chunk(b"VP8X", bytes([flags, 0, 0, 0]) + sizes)


def webp_chunks(file: bytes) -> list[bytes]:
    """The chunks of a WebP, kinds and lengths included."""
    chunks, place = [], 12
    while place < len(file):
        length = int.from_bytes(file[place + 4 : place + 8], "little")
        end = place + 8 + length + length % 2
        chunks.append(file[place:end])
        place = end
    return chunks


def bmp_file(
    width: int, height: int, pixels: bytes, *, bits: int = 24, compression: int = 0, palette: bytes = b""
) -> bytes:
    """A BMP with the usual header of 40 bytes."""
    offset = 54 + len(palette)
    start = b"BM" + struct.pack("<IHHI", offset + len(pixels), 0, 0, offset)
    sizes = struct.pack("<IiiHHII", 40, width, height, 1, bits, compression, len(pixels))
    return start + sizes + struct.pack("<iiII", 0, 0, len(palette) // 4, 0) + palette + pixels


def lossless_webp_of_tables(side: int, num_sets: int) -> bytes:
    """A black lossless WebP whose 4x4 blocks each have a set of Huffman tables: up to 65,536 of them.

    The bits are those of RFC 9649, section 3: no transforms, no colour cache, an entropy image that counts
    the sets, then five codes of a single symbol for each set, then no bits at all for the pixels.
    """
    bits = _Bits()
    for value, length in ((0x2F, 8), (side - 1, 14), (side - 1, 14), (0, 4), (0, 1), (0, 1), (1, 1), (0, 3)):
        bits.put(value, length)
    bits.put(0, 1)
    for num_symbols in (280, 256):
        bits.put_flat_code(num_symbols)
    bits.put(SINGLE_SYMBOL * 0x111, 12)
    for index in range((side // 4) ** 2):
        for byte in (index % num_sets) & 255, (index % num_sets) >> 8:
            bits.put(int(f"{byte:08b}"[::-1], 2), 8)
    for _ in range(num_sets):
        bits.put(SINGLE_SYMBOL * 0x11111, 20)
    return webp_file(webp_chunk(b"VP8L", bits.content()))


# Simple, of one symbol, which has one bit and is 0.
SINGLE_SYMBOL = 0b0001


class _Bits:
    """Bits, the least significant first."""

    def __init__(self) -> None:
        self._digits: list[str] = []

    def put(self, value: int, length: int) -> None:
        self._digits.append(f"{value:0{length}b}"[::-1])

    def put_flat_code(self, num_symbols: int) -> None:
        """A code in which symbols 0 to 255 have 8 bits, the others none."""
        self.put(0, 1)
        self.put(12 - 4, 4)
        for length in (0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1):  # in RFC 9649's order: of 0 and of 8
            self.put(length, 3)
        if num_symbols > 256:
            self.put(0b0111, 1 + 3)  # so many lengths follow as the next 8 bits say, and 2
            self.put(256 - 2, 8)
        else:
            self.put(0, 1)
        self.put(2**256 - 1, 256)

    def content(self) -> bytes:
        digits = "".join(self._digits)
        return int(digits[::-1], 2).to_bytes((len(digits) + 7) // 8, "little")
