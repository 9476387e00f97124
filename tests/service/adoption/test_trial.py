"""What a module from elsewhere takes and gives is found by trying, and what cannot be found is asked for."""

import pytest
from torch import nn

from service.adoption.module import Form
from service.adoption.trial import find_form
from service.errors import CannotAdopt
from tests import foreign_vaes
from tests.foreign_vaes import IMAGE_SHAPE, LATENT_DIM, scripted

UNIT, SYMMETRIC = (0.0, 1.0), (-1.0, 1.0)


@pytest.mark.parametrize(
    ("vae", "pixel_range"),
    [
        (foreign_vaes.ConvVAE, UNIT),
        (foreign_vaes.TupleVAE, UNIT),
        (foreign_vaes.TanhVAE, SYMMETRIC),
        (foreign_vaes.LevelsVAE, None),
    ],
)
def test_shape_latent_size_and_range_are_found(
    vae: type[nn.Module], pixel_range: tuple[float, float] | None
) -> None:
    assert find_form(scripted(vae())) == Form(IMAGE_SHAPE, (LATENT_DIM,), False, pixel_range)


def test_images_as_rows_are_found_once_their_shape_is_told() -> None:
    module = scripted(foreign_vaes.RowVAE())
    assert find_form(module, image_shape=(1, 28, 28)) == Form((1, 28, 28), (20,), True, UNIT)
    with pytest.raises(CannotAdopt, match="cannot be found out: say it with --image-shape C H W"):
        find_form(module)


def test_latents_that_are_maps_are_found_once_the_shape_of_images_is_told() -> None:
    form = find_form(scripted(foreign_vaes.MapVAE()), image_shape=(3, 16, 24))
    assert form == Form((3, 16, 24), (2, 4, 6), False, UNIT)
    assert form.latent_dim == 48


def test_what_is_told_is_checked() -> None:
    module = scripted(foreign_vaes.ConvVAE())
    form = Form(IMAGE_SHAPE, (LATENT_DIM,), False, SYMMETRIC)
    told = {"image_shape": IMAGE_SHAPE, "latent_dim": LATENT_DIM, "pixel_range": SYMMETRIC}
    assert find_form(module, **told) == form
    with pytest.raises(CannotAdopt, match="latents of 5, not of 7"):
        find_form(module, image_shape=IMAGE_SHAPE, latent_dim=7)
    with pytest.raises(CannotAdopt, match="--image-shape"):
        find_form(module, latent_dim=7)
    with pytest.raises(
        CannotAdopt,
        match=r"^module\.encode fails on 2x3x32x32: .*; say another size with --image-shape C H W$",
    ):
        find_form(module, image_shape=(3, 32, 32))
    with pytest.raises(
        CannotAdopt, match=r"module.decode gives images of 3x16x16, not of --image-shape 3 15 16"
    ):
        find_form(module, image_shape=(3, 15, 16))


def test_a_range_that_cannot_be_told_is_asked_for() -> None:
    module = scripted(foreign_vaes.LinearVAE())
    with pytest.raises(
        CannotAdopt, match=r"values from -\S+ to \S+, which is neither .*--pixel-range BLACK WHITE"
    ):
        find_form(module)
    assert find_form(module, pixel_range=(0.0, 1.0)).pixel_range == UNIT


@pytest.mark.parametrize(
    ("vae", "words"),
    [
        (foreign_vaes.ThreeVAE, "module.encode gives 2x5 and 2x5 and 2x512 for 2x3x16x16; mu and log_var"),
        (foreign_vaes.NaNVAE, "module.decode gives numbers that are not finite"),
        (foreign_vaes.RaisingVAE, r"module.decode fails on 32x5: .*no latents today"),
    ],
)
def test_what_it_gives_instead_is_said(vae: type[nn.Module], words: str) -> None:
    with pytest.raises(CannotAdopt, match=words):
        find_form(scripted(vae()), image_shape=IMAGE_SHAPE)
