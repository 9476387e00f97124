"""The sizes that a BMP says, and what is refused."""

import struct

import pytest

from service.vae.formats.bmp import bmp_parts
from service.vae.formats.parts import Damaged
from tests.crafted import bmp_file
from tests.pictures import file_of, noise, picture

ROW = bytes(12)


def test_a_file_stays_as_it_is() -> None:
    content = file_of(picture(noise(20, 30, 3)), "BMP")
    assert bmp_parts(content) == (content, (30, 20), "a BMP", 1, 0)


def test_a_negative_height_means_that_the_top_comes_first() -> None:
    assert bmp_parts(bmp_file(4, -2, ROW * 2)).size == (4, 2)
    assert bmp_parts(bmp_file(4, -(2**31), ROW)).size == (4, 2**31)


def test_a_negative_width_is_no_size() -> None:
    assert bmp_parts(bmp_file(-4, 2, ROW * 2)).size == (-4, 2)


def test_the_oldest_header_is_read() -> None:
    content = b"BM" + bytes(8) + struct.pack("<IIHHHH", 26, 12, 4, 2, 1, 24) + ROW * 2
    assert bmp_parts(content).size == (4, 2)


@pytest.mark.parametrize("compression", [1, 2])
def test_run_lengths_are_refused_naming_the_way_out(compression: int) -> None:
    with pytest.raises(Damaged, match="save it uncompressed"):
        bmp_parts(bmp_file(4, 2, b"\0\1", bits=8, compression=compression, palette=bytes(1024)))


def test_every_file_that_ends_in_its_header_is_refused() -> None:
    content = bmp_file(4, 2, b"")
    for length in range(2, len(content)):
        with pytest.raises(Damaged):
            bmp_parts(content[:length])


def test_a_header_of_no_known_version_is_refused() -> None:
    content = bmp_file(4, 2, ROW * 2)
    with pytest.raises(Damaged, match="no known version"):
        bmp_parts(content[:14] + struct.pack("<I", 41) + content[18:])
