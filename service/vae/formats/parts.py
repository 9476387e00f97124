"""What of an image file makes its pixels: the only thing that a decoder is ever shown of an upload.

Text, colour profiles, previews, further frames and whatever follows the picture are left out before
the decoder sees the file: they cost time and memory that no limit on pixels bounds.
"""

from typing import NamedTuple

# Rows of the largest picture, each written as a part of its own, are fewer.
MAX_PARTS = 10_000


class Damaged(ValueError):
    """The file breaks the rules of its format; the message says which."""


class Parts(NamedTuple):
    """An image file without anything that is not needed for its pixels.

    Attributes:
        file: It still is a file of its format.
        size: Width and height of the stored picture, in pixels.
        description: What kind of file it is, for a sentence that begins with it.
        orientation: EXIF's, 1 for upright.
        extra_bytes: What its decoder takes at most beside the picture itself.
    """

    file: bytes
    size: tuple[int, int]
    description: str
    orientation: int = 1
    extra_bytes: int = 0
