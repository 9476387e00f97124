"""Coloured sprites with known factors, drawn when needed: data that needs no download.

Shapes: N sprites, H height, W width.
"""

import dataclasses
import math

import torch
from torch import Tensor

SHAPES = ("ellipse", "triangle", "square", "star")
BACKGROUND = 0.2  # of the sprite's brightness, in its hue: a colour that fills the picture is learnt at once
CHUNK = 512  # sprites drawn at a time, so that the work fits the cache


@dataclasses.dataclass(frozen=True)
class Sprites:
    """Pictures and the factors that they were drawn from.

    Attributes:
        images: uint8 (N, 3, H, W).
        shape: int64 (N,), an index into `SHAPES`.
        hue: float32 (N,), in [0, 0.8) of a turn of the colour wheel, red to violet: a line, not a circle.
        scale: float32 (N,), the radius as a fraction of half the picture, in [0.45, 0.75).
        rotation: float32 (N,), clockwise, radians in [-pi / 6, pi / 6).
        x: float32 (N,), the centre in [-0.25, 0.25), half the picture being 1, rightwards.
        y: float32 (N,), the same, downwards.
    """

    images: Tensor
    shape: Tensor
    hue: Tensor
    scale: Tensor
    rotation: Tensor
    x: Tensor
    y: Tensor

    def at(self, indices: list[int]) -> "Sprites":
        """Those at the indices, in their order."""
        return Sprites(*(getattr(self, field.name)[indices] for field in dataclasses.fields(self)))


def draw_sprites(num_sprites: int, *, height: int, width: int, seed: int) -> Sprites:
    """Independent, uniform factors from the seed, and their antialiased pictures."""
    generator = torch.Generator().manual_seed(seed)
    shape = torch.randint(len(SHAPES), (num_sprites,), generator=generator)
    hue, scale, rotation, x, y = torch.rand(5, num_sprites, generator=generator)
    factors = (
        shape,
        0.8 * hue,
        0.45 + 0.3 * scale,
        (rotation - 0.5) * math.pi / 3,
        0.5 * x - 0.25,
        0.5 * y - 0.25,
    )
    chunks = zip(*(factor.split(CHUNK) for factor in factors), strict=True)
    images = torch.cat([_drawn(*chunk, height=height, width=width) for chunk in chunks])
    return Sprites(images, *factors)


def _drawn(
    shape: Tensor,
    hue: Tensor,
    scale: Tensor,
    rotation: Tensor,
    x: Tensor,
    y: Tensor,
    *,
    height: int,
    width: int,
) -> Tensor:
    half_side = min(height, width) / 2
    rows = (torch.arange(height) + 0.5 - height / 2) / half_side
    columns = (torch.arange(width) + 0.5 - width / 2) / half_side
    across = columns - x[:, None, None]
    down = rows[:, None] - y[:, None, None]
    cos, sin = rotation.cos()[:, None, None], rotation.sin()[:, None, None]
    distance = _signed_distance(
        shape, cos * across + sin * down, cos * down - sin * across, scale[:, None, None]
    )
    coverage = (0.5 - distance * half_side).clamp(0, 1)[:, None]
    colour = _colour(hue)
    pixels = (BACKGROUND + (1 - BACKGROUND) * coverage) * colour[:, :, None, None]
    return (pixels * 255).round().to(torch.uint8)


def _colour(hue: Tensor) -> Tensor:
    """RGB in [0, 1], (N, 3), of hues: the pure colours of HSV, lightened a little."""
    sixths = (6 * hue[:, None] + torch.tensor([0.0, 4.0, 2.0])) % 6
    return 0.2 + 0.8 * ((sixths - 3).abs() - 1).clamp(0, 1)


def _signed_distance(shape: Tensor, u: Tensor, v: Tensor, radius: Tensor) -> Tensor:
    """Distance to the outline, negative inside, (N, H, W), in the sprite's own rotated coordinates."""
    distance = torch.empty_like(u)
    for index, name in enumerate(SHAPES):
        chosen = shape == index
        distance[chosen] = _OUTLINES[name](u[chosen], v[chosen], radius[chosen])
    return distance


def _ellipse(u: Tensor, v: Tensor, radius: Tensor) -> Tensor:
    # First order: the implicit function |p / r| - 1 over the length of its gradient.
    flat = 0.55
    value = torch.sqrt(u.square() + (v / flat).square()).clamp_min(1e-6) / radius
    gradient = torch.sqrt(u.square() + (v / flat**2).square()).clamp_min(1e-6) / (value * radius.square())
    return (value - 1) / gradient


def _half_planes(u: Tensor, v: Tensor, num_sides: int, inner_radius: Tensor) -> Tensor:
    """Signed distances (N, H, W, S) to the lines of a regular polygon's sides."""
    angles = 2 * math.pi / num_sides * torch.arange(num_sides)
    return u[..., None] * angles.cos() + v[..., None] * angles.sin() - inner_radius[..., None]


def _triangle(u: Tensor, v: Tensor, radius: Tensor) -> Tensor:
    return _half_planes(u, v, 3, 0.6 * radius).amax(dim=-1)


def _square(u: Tensor, v: Tensor, radius: Tensor) -> Tensor:
    return _half_planes(u, v, 4, 0.75 * radius).amax(dim=-1)


def _star(u: Tensor, v: Tensor, radius: Tensor) -> Tensor:
    # A pentagram is where at most one of a pentagon's five half planes is left.
    return _half_planes(u, v, 5, 0.38 * radius).topk(2, dim=-1).values[..., 1]


_OUTLINES = {"ellipse": _ellipse, "triangle": _triangle, "square": _square, "star": _star}
