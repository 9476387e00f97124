"""EXIF's orientation, out of blocks as cameras write them and as nobody does."""

import struct

import pytest
from PIL import Image

from service.preparation import exif_orientation
from tests.crafted import exif_block

ORIENTATION, SHORT, LONG = 0x0112, 3, 4


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_found_among_other_tags_in_either_byte_order(order: str, orientation: int) -> None:
    tags = [(0x0100, LONG, 1, 5), (ORIENTATION, SHORT, 1, orientation), (0x0213, SHORT, 1, 2)]
    assert exif_orientation(exif_block(*tags, order=order)) == orientation
    assert exif_orientation(b"Exif\0\0" + exif_block(*reversed(tags), order=order)) == orientation


def test_a_block_by_pillow_is_read() -> None:
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    exif[ORIENTATION] = 6
    assert exif_orientation(exif.tobytes()) == 6


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"Exif\0\0",
        b"II*\0",
        b"XX*\0" + bytes(20),
        exif_block((0x0100, LONG, 1, 5)),
        exif_block((ORIENTATION, SHORT, 1, 0)),
        exif_block((ORIENTATION, SHORT, 1, 9)),
        exif_block((ORIENTATION, LONG, 2**32 - 1, 6)),
        exif_block((ORIENTATION, SHORT, 1, 6), offset=2**32 - 1),
        exif_block((ORIENTATION, SHORT, 1, 6))[:15],
        b"II*\0" + struct.pack("<IH", 8, 65_535),
    ],
    ids=range(11),
)
def test_what_says_no_orientation_is_upright(block: bytes) -> None:
    assert exif_orientation(block) == 1
