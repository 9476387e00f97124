"""What is left of a JPEG, and what is refused."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from service.vae.formats.jpeg import MAX_GAP_BYTES, MAX_SCANS, MAX_SEGMENTS, jpeg_parts
from service.vae.formats.parts import Damaged
from tests.crafted import exif_block, jpeg_segment, with_segments
from tests.pictures import file_of, noise, picture

PICTURE = picture(noise(40, 56, 3))
BASELINE = file_of(PICTURE, "JPEG")
PROGRESSIVE = file_of(PICTURE, "JPEG", progressive=True)
EMPTY_COMMENT = jpeg_segment(0xFE, b"")


def pixels(file: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(file)))


def exif_segment(orientation: int) -> bytes:
    return jpeg_segment(0xE1, b"Exif\0\0" + exif_block((0x0112, 3, 1, orientation)))


def frame_of(num_components: int, sampling: int) -> bytes:
    """A file that says a frame and begins its scan."""
    components = b"".join(bytes([index, sampling, 0]) for index in range(num_components))
    frame = jpeg_segment(0xC2, b"\x08\x00\x40\x00\x80" + bytes([num_components]) + components)
    return b"\xff\xd8" + frame + jpeg_segment(0xDA, bytes(6))


def test_a_bare_file_stays_as_it_is() -> None:
    assert jpeg_parts(BASELINE) == (BASELINE, (56, 40), "a JPEG", 1, 0)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_nothing_but_the_picture_is_left(mode: str, progressive: bool) -> None:
    bare = file_of(PICTURE.convert(mode), "JPEG", progressive=progressive)
    metadata = [
        exif_segment(6),
        jpeg_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<secret/>"),
        jpeg_segment(0xE2, b"ICC_PROFILE\0\1\1" + b"secret" * 9),
        jpeg_segment(0xE2, b"MPF\0" + exif_block((0xB001, 4, 1, 2))),
        jpeg_segment(0xED, b"Photoshop 3.0\0secret"),
        jpeg_segment(0xFE, b"secret"),
    ]
    parts = jpeg_parts(with_segments(bare, *metadata))
    assert parts.file == bare
    assert parts.orientation == 6


def test_of_several_pictures_the_first_is_left() -> None:
    file = io.BytesIO()
    PICTURE.save(file, "MPO", save_all=True, append_images=[Image.new("RGB", (56, 40))])
    left = Image.open(io.BytesIO(jpeg_parts(file.getvalue()).file))
    assert left.format == "JPEG"
    np.testing.assert_array_equal(np.asarray(left), pixels(file.getvalue()))


def test_the_first_of_several_orientations_counts() -> None:
    assert jpeg_parts(with_segments(BASELINE, exif_segment(3), exif_segment(6))).orientation == 3


def test_padding_between_segments_is_passed_over() -> None:
    content = with_segments(BASELINE, EMPTY_COMMENT + b"\xff" * 9 + EMPTY_COMMENT + b"\0\1\2")
    assert jpeg_parts(content).file == BASELINE
    with pytest.raises(Damaged, match="other data between its segments"):
        jpeg_parts(with_segments(BASELINE, b"\xff" * MAX_GAP_BYTES))


def test_the_coefficients_of_a_progressive_jpeg_are_counted() -> None:
    # 4:2:0 is in units of 16x16: 4x3 of them, each of 6 blocks of 64 coefficients of 2 bytes.
    assert jpeg_parts(PROGRESSIVE).extra_bytes == 4 * 3 * 6 * 64 * 2
    whole = file_of(PICTURE, "JPEG", progressive=True, subsampling=0)
    assert jpeg_parts(whole).extra_bytes == 7 * 5 * 3 * 64 * 2


def test_a_baseline_jpeg_of_several_scans_is_counted_too() -> None:
    start = BASELINE.index(b"\xff\xda")
    one_component = BASELINE[:start] + jpeg_segment(0xDA, b"\1\1\0\0\x3f\0") + b"data\xff\xd9"
    assert jpeg_parts(one_component).extra_bytes == 4 * 3 * 6 * 64 * 2


def test_as_many_scans_as_encoders_may_write_are_taken_and_one_more_is_not() -> None:
    num_scans = PROGRESSIVE.count(b"\xff\xda")
    last = PROGRESSIVE[PROGRESSIVE.rindex(b"\xff\xda") : -2]
    most = PROGRESSIVE[:-2] + last * (MAX_SCANS - num_scans)
    assert jpeg_parts(most + b"\xff\xd9").file == most + b"\xff\xd9"
    with pytest.raises(Damaged, match="more than 32 scans"):
        jpeg_parts(most + last + b"\xff\xd9")


def test_scans_after_the_end_of_the_picture_are_left_out() -> None:
    assert jpeg_parts(PROGRESSIVE + b"\xff\xda" * 1000).file == PROGRESSIVE


def test_as_many_segments_as_a_camera_may_write_are_taken_and_more_are_not() -> None:
    num_own = len(re.findall(rb"\xff[\xc0-\xcf\xda-\xfe]", BASELINE[: BASELINE.index(b"\xff\xda") + 2]))
    most = EMPTY_COMMENT * (MAX_SEGMENTS - num_own)
    assert jpeg_parts(with_segments(BASELINE, most)).file == BASELINE
    with pytest.raises(Damaged, match="more than 2000 segments"):
        jpeg_parts(with_segments(BASELINE, most, EMPTY_COMMENT))


def test_every_file_that_ends_before_its_pixels_is_refused() -> None:
    for length in range(3, BASELINE.index(b"\xff\xda") + 4):
        with pytest.raises(Damaged):
            jpeg_parts(BASELINE[:length])


@pytest.mark.parametrize("marker", [0xC3, 0xC5, 0xC9, 0xCF])
def test_a_frame_of_another_kind_is_refused_naming_those_that_are_taken(marker: int) -> None:
    with pytest.raises(Damaged, match="only baseline, extended, progressive JPEG"):
        jpeg_parts(BASELINE.replace(b"\xff\xc0", bytes([0xFF, marker]), 1))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (with_segments(BASELINE, jpeg_segment(0xC0, b"\x08\x00\x40\x00\x80\x01\x01\x11\x00")), "one frame"),
        (BASELINE.replace(b"\xff\xc0", b"\xff\xfe", 1), "does not say its size"),
        (b"\xff\xd8\xff\xe0\x00\x01", "shorter than its own length"),
        (b"\xff\xd8" + jpeg_segment(0xC0, b"\x08"), "frame header has the wrong length"),
        (frame_of(2, 0x11), "components or their sampling"),
        (frame_of(3, 0x01), "components or their sampling"),
        (frame_of(3, 0x15), "components or their sampling"),
    ],
    ids=["two frames", "no frame", "length 1", "short frame", "two components", "no sampling", "sampling 5"],
)
def test_what_breaks_the_rules_is_refused(content: bytes, problem: str) -> None:
    with pytest.raises(Damaged, match=problem):
        jpeg_parts(content)
