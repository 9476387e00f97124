import math

import pytest
import torch

from training.data.sprites import SHAPES, Sprites, draw_sprites


@pytest.fixture(scope="module")
def sprites() -> Sprites:
    return draw_sprites(600, height=48, width=48, seed=3)


def coverage(sprites: Sprites) -> torch.Tensor:
    """How much of each pixel the sprite covers: its brightness between the background's and the sprite's."""
    brightest = sprites.images.amax(dim=1).float()
    lowest, highest = brightest.amin(dim=(1, 2), keepdim=True), brightest.amax(dim=(1, 2), keepdim=True)
    return (brightest - lowest) / (highest - lowest)


def test_the_same_seed_draws_the_same_sprites() -> None:
    once, again = (draw_sprites(5, height=32, width=32, seed=7).images for _ in range(2))
    assert torch.equal(once, again)
    assert not torch.equal(once, draw_sprites(5, height=32, width=32, seed=8).images)


def test_pixels_are_uint8_rgb_of_any_size() -> None:
    images = draw_sprites(3, height=20, width=30, seed=0).images
    assert images.shape == (3, 3, 20, 30)
    assert images.dtype == torch.uint8


def test_a_sprite_is_where_its_factors_say(sprites: Sprites) -> None:
    weight = coverage(sprites)
    weight = weight / weight.sum(dim=(1, 2), keepdim=True)
    axis = (torch.arange(48) + 0.5 - 24) / 24
    torch.testing.assert_close((weight.sum(dim=1) * axis).sum(dim=1), sprites.x, atol=0.03, rtol=0)
    torch.testing.assert_close((weight.sum(dim=2) * axis).sum(dim=1), sprites.y, atol=0.03, rtol=0)


def test_the_area_of_an_ellipse_is_pi_a_b(sprites: Sprites) -> None:
    ellipse = sprites.shape == SHAPES.index("ellipse")
    expected = math.pi * 0.55 * (24 * sprites.scale[ellipse]) ** 2
    torch.testing.assert_close(coverage(sprites)[ellipse].sum(dim=(1, 2)), expected, rtol=0.03, atol=1)


def test_the_area_of_a_square_is_its_side_squared(sprites: Sprites) -> None:
    square = sprites.shape == SHAPES.index("square")
    expected = (2 * 0.75 * 24 * sprites.scale[square]) ** 2
    torch.testing.assert_close(coverage(sprites)[square].sum(dim=(1, 2)), expected, rtol=0.03, atol=1)


def test_hue_zero_is_red_and_a_third_is_green() -> None:
    sprites = draw_sprites(400, height=16, width=16, seed=0)
    centre = sprites.images.flatten(2).amax(dim=2)
    red = (sprites.hue < 0.05) | (sprites.hue > 0.95)
    green = (sprites.hue - 1 / 3).abs() < 0.05
    assert bool((centre[red].argmax(dim=1) == 0).all())
    assert bool((centre[green].argmax(dim=1) == 1).all())


def test_factors_are_independent_of_each_other(sprites: Sprites) -> None:
    factors = torch.stack([sprites.hue, sprites.scale, sprites.rotation, sprites.x, sprites.y])
    correlation = torch.corrcoef(factors) - torch.eye(5)
    assert float(correlation.abs().max()) < 4 / math.sqrt(600)
    assert torch.bincount(sprites.shape).tolist() == pytest.approx([150] * 4, abs=45)
