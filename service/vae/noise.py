"""Seeded standard normal noise: row i is a function of (seed, i) alone, never of how many rows are drawn.

`torch.randn(n, d, generator=g)` has no such promise. Here each row is its own stream of the
counter-based generator Philox 4x64-10, whose raw integers numpy guarantees to stay the same
(NEP 19), turned into normal numbers by the transform of Box and Muller.

Shapes: N images, D latent size.
"""

import numpy as np

from service.checkpoint import Float32Array

MAX_SEED = 2**64 - 1
# The generator's counter counts blocks of so many numbers; each image has a stretch of it to itself.
BLOCK_SIZE = 4
BLOCKS_PER_IMAGE = 2**128


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
    raw = np.empty((num, 2, half), np.uint64)
    stream = np.random.Philox(key=seed, counter=0)
    blocks_used = -(-2 * half // BLOCK_SIZE)
    for index in range(num):
        raw[index] = stream.random_raw(2 * half).reshape(2, half)
        stream.advance(BLOCKS_PER_IMAGE - blocks_used)
    uniform = ((raw >> np.uint64(11)) + 0.5) * 2.0**-53  # 53 bits, inside (0, 1): the logarithm stays finite
    radius = np.sqrt(-2.0 * np.log(uniform[:, 0]))
    angle = 2.0 * np.pi * uniform[:, 1]
    normal = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return normal[:, :latent_dim].astype(np.float32)
