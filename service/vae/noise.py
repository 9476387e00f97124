"""Seeded standard normal noise: row i is a function of (seed, i) alone, never of how many rows are drawn.

`torch.randn(n, d, generator=g)` has no such promise. Here each row is its own stream of the
counter-based generator Philox 4x64-10, whose raw integers numpy guarantees to stay the same
(NEP 19), turned into normal numbers by the transform of Box and Muller.

Shapes: N images, D latent size.
"""

import numpy as np
import numpy.typing as npt
from numpy.random.bit_generator import ISeedSequence

from service.scripted import Float32Array

Float64Array = npt.NDArray[np.float64]

MAX_SEED = 2**64 - 1
# The generator's counter counts blocks of so many numbers; each image has a stretch of it to itself.
BLOCK_SIZE = 4
BLOCKS_PER_IMAGE = 2**128


class Key(ISeedSequence):
    """A seed as the key of Philox, as it is; without a seed Philox would ask the kernel for one."""

    def __init__(self, seed: int) -> None:
        self._key = np.array([seed, 0], np.uint64)

    def generate_state(self, n_words: int, dtype: object = np.uint64) -> npt.NDArray[np.uint64]:
        """The key: two words of 64 bits."""
        return self._key


def draw_noise(seed: int, num: int, latent_dim: int) -> Float32Array:
    """Draw standard normal noise for images 0 to num - 1 of a seed.

    Philox: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011, section 4.
    Box and Muller, 1958: r = sqrt(-2 ln u), then r cos(2 pi v) and r sin(2 pi v).

    Args:
        seed: From 0 to MAX_SEED; the key of the generator.
        num: N, the number of images; image i has the counter (0, 0, i, 0).
        latent_dim: D.

    Returns:
        float32 (N, D).
    """
    half = (latent_dim + 1) // 2
    uniform = _draw_uniform(seed, num, 2 * half).reshape(num, 2, half)
    radius = np.sqrt(-2.0 * np.log(uniform[:, 0]))
    angle = 2.0 * np.pi * uniform[:, 1]
    normal = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return normal[:, :latent_dim].astype(np.float32)


def draw_choices(seed: int, num: int, latent_dim: int) -> Float64Array:
    """Draw for each image of a seed the number that chooses a component of a mixture: in (0, 1), (N,).

    It is the number after those of the image's noise, which it leaves as they are; see draw_noise.
    """
    num_of_noise = 2 * ((latent_dim + 1) // 2)
    return _draw_uniform(seed, num, num_of_noise + 1)[:, -1]


def _draw_uniform(seed: int, num: int, count: int) -> Float64Array:
    """The first numbers of each image's own stream, inside (0, 1): (N, count)."""
    raw = np.empty((num, count), np.uint64)
    stream = np.random.Philox(Key(seed))  # type: ignore[arg-type]  # any ISeedSequence is taken
    blocks_used = -(-count // BLOCK_SIZE)
    for index in range(num):
        raw[index] = stream.random_raw(count)
        stream.advance(BLOCKS_PER_IMAGE - blocks_used)
    # 53 bits, never 0 or 1: the logarithm stays finite.
    return ((raw >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
