"""The PNG encoder against three decoders that are not ours: Pillow, libpng (torchvision) and zlib."""

import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image
from torchvision.io import ImageReadMode, decode_png

from service.vae.png import MAX_COMPRESSION, encode_png

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
KEYWORDS = st.text("ABCDEFabcdef", min_size=1, max_size=20)
LATIN_1 = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)


@st.composite
def batches(draw: st.DrawFn) -> np.ndarray:
    """uint8 (N, H, W, C): noise, or one flat colour, which deflate treats apart."""
    num, height, width = draw(array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=17))
    shape = (num, height, width, draw(st.integers(1, 4)))
    if draw(st.booleans()):
        return draw(arrays(np.uint8, shape))
    return np.random.default_rng(draw(st.integers(0, 2**32))).integers(0, 256, shape, np.uint8)


def pillow_pixels(file: bytes, channels: int) -> np.ndarray:
    image = Image.open(io.BytesIO(file))
    assert image.format == "PNG"
    assert image.mode == MODES[channels]
    return np.asarray(image).reshape(image.height, image.width, channels)


@given(images=batches(), compression=st.integers(0, MAX_COMPRESSION))
def test_pillow_reads_back_the_same_pixels(images: np.ndarray, compression: int) -> None:
    files = encode_png(images, compression=compression)
    assert len(files) == len(images)
    for file, image in zip(files, images, strict=True):
        np.testing.assert_array_equal(pillow_pixels(file, image.shape[-1]), image)


@pytest.mark.filterwarnings("ignore:The image decoding and encoding capabilities of TorchVision")
@given(images=batches())
def test_libpng_reads_back_the_same_pixels(images: np.ndarray) -> None:
    for file, image in zip(encode_png(images), images, strict=True):
        content = torch.frombuffer(bytearray(file), dtype=torch.uint8)
        decoded = decode_png(content, ImageReadMode.UNCHANGED)
        np.testing.assert_array_equal(decoded.permute(1, 2, 0).numpy(), image)


@given(images=batches(), compression=st.integers(0, MAX_COMPRESSION))
def test_zlib_inflates_rows_of_differences_to_the_left(images: np.ndarray, compression: int) -> None:
    _, height, width, channels = images.shape
    for file, image in zip(encode_png(images, compression=compression), images, strict=True):
        chunks = read_chunks(file)
        assert [kind for kind, _ in chunks] == [b"IHDR", b"IDAT", b"IEND"]
        rows = np.frombuffer(zlib.decompress(chunks[1][1]), np.uint8).reshape(height, 1 + width * channels)
        assert (rows[:, 0] == 1).all()
        differences = rows[:, 1:].reshape(height, width, channels)
        np.testing.assert_array_equal(np.cumsum(differences, axis=1, dtype=np.uint8), image)


@given(texts=st.dictionaries(KEYWORDS, LATIN_1, max_size=4))
def test_pillow_reads_back_the_texts(texts: dict[str, str]) -> None:
    (file,) = encode_png(np.zeros((1, 2, 2, 1), np.uint8), [texts])
    image = Image.open(io.BytesIO(file))
    image.load()
    assert image.text == texts


def test_each_image_has_its_own_texts() -> None:
    files = encode_png(np.zeros((3, 1, 1, 3), np.uint8), [{"Index": str(index)} for index in range(3)])
    assert [Image.open(io.BytesIO(file)).text for file in files] == [{"Index": str(i)} for i in range(3)]


def test_what_latin_1_cannot_write_becomes_a_question_mark() -> None:
    (file,) = encode_png(np.zeros((1, 1, 1, 1), np.uint8), [{"Model": "å→b"}])
    assert Image.open(io.BytesIO(file)).text == {"Model": "å?b"}


@pytest.mark.parametrize("compression", range(MAX_COMPRESSION + 1))
def test_the_same_image_gives_the_same_bytes_alone_and_in_a_batch(compression: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28, 1), np.uint8)
    alone = [encode_png(image[None], compression=compression)[0] for image in images]
    assert encode_png(images, compression=compression) == alone


def test_a_flat_image_of_megapixels_is_small() -> None:
    (file,) = encode_png(np.full((1, 1024, 1024, 3), 200, np.uint8))
    assert len(file) < 1024 * 1024 * 3 / 50
    np.testing.assert_array_equal(pillow_pixels(file, 3), 200)


def read_chunks(file: bytes) -> list[tuple[bytes, bytes]]:
    """Chunks by the specification, checksums compared."""
    assert file[:8] == bytes([137, 80, 78, 71, 13, 10, 26, 10])
    chunks, offset = [], 8
    while offset < len(file):
        length, kind = struct.unpack_from(">I4s", file, offset)
        content = file[offset + 8 : offset + 8 + length]
        (checksum,) = struct.unpack_from(">I", file, offset + 8 + length)
        assert checksum == zlib.crc32(kind + content)
        chunks.append((kind, content))
        offset += 12 + length
    return chunks


@pytest.mark.parametrize("compression", range(MAX_COMPRESSION + 1))
@pytest.mark.parametrize(("side", "channels"), [(4, 3), (8, 1), (8, 3), (28, 1)])
def test_flat_pictures_are_the_same_bytes_in_every_thread(compression: int, side: int, channels: int) -> None:
    levels = np.random.default_rng(1).integers(90, 160, (3000, 2, 2, channels), np.uint8)
    images = levels.repeat(side // 2, axis=1).repeat(side // 2, axis=2)
    here = encode_png(images, compression=compression)
    with ThreadPoolExecutor(2) as threads:
        for there in threads.map(lambda _: encode_png(images, compression=compression), range(2)):
            assert sum(file != other for file, other in zip(here, there, strict=True)) == 0
