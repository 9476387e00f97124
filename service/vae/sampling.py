"""Latents of a seed, drawn from the prior: row i is a function of (seed, i) alone, see service.vae.noise.

Shapes: N images, D latent size.
"""

import numpy as np

from service.prior import Mixture
from service.scripted import Float32Array
from service.vae.noise import draw_choices, draw_noise


def draw_latents(
    mixture: Mixture | None, latent_dim: int, *, seed: int, num: int, temperature: float = 1.0
) -> Float32Array:
    """Draw latents for images 0 to num - 1 of a seed.

    Args:
        mixture: What is drawn from; None for the standard normal.
        latent_dim: D.
        seed: See draw_noise.
        num: N.
        temperature: Factor on the standard deviation, of a mixture within its components.

    Returns:
        float32 (N, D).
    """
    noise = draw_noise(seed, num, latent_dim)
    if mixture is None:
        return noise * np.float32(temperature)
    return mixture.place(noise, draw_choices(seed, num, latent_dim), temperature=temperature)
