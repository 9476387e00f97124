"""Ways between two latents.

Shapes: S steps, D latent size.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

from service.scripted import Float32Array

Mode = Literal["slerp", "linear"]
# The sine of an angle below which two latents are (anti)parallel, and span no plane to turn in.
SMALLEST_SINE = 1e-6


def interpolate(
    start: Float32Array, end: Float32Array, *, num_steps: int, mode: Mode
) -> tuple[Float32Array, Mode]:
    """Latents from one to another, the ends as they are.

    `linear` is the straight way; it passes nearer to the origin than where a normal prior has its mass.
    `slerp` turns from one direction to the other at a steady angle (Shoemake 1985; for latents White 2016,
    arXiv 1609.04468): z(t) = (sin((1 - t) a) start + sin(t a) end) / sin a, a being the angle between them.
    Where there is none to speak of, as with the zero latent or opposite ones, the way is straight.

    Args:
        start: (D,).
        end: (D,).
        num_steps: S, at least 2, the ends among them.
        mode: Which way.

    Returns:
        float32 (S, D), and the way that it is.
    """
    first, last = start.astype(np.float64), end.astype(np.float64)
    share = np.linspace(0, 1, num_steps)[:, None]
    angle = _angle(first, last)
    if mode == "slerp" and np.sin(angle) > SMALLEST_SINE:
        z = (np.sin((1 - share) * angle) * first + np.sin(share * angle) * last) / np.sin(angle)
    else:
        mode = "linear"
        z = (1 - share) * first + share * last
    z[0], z[-1] = first, last
    return z.astype(np.float32), mode


def _angle(first: npt.NDArray[np.float64], last: npt.NDArray[np.float64]) -> float:
    """The angle between two vectors, 0 where one of them is zero; exact for small ones too (Kahan)."""
    lengths = np.linalg.norm(first), np.linalg.norm(last)
    if min(lengths) == 0:
        return 0.0
    first, last = first / lengths[0], last / lengths[1]
    return float(2 * np.arctan2(np.linalg.norm(first - last), np.linalg.norm(first + last)))
