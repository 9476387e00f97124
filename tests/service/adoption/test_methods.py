"""What keeps a module from being adopted is said of its methods' types, before anything of it runs."""

from pathlib import Path

import pytest
from torch import nn

from service.adoption.methods import lacks
from service.description import describe
from tests import foreign_vaes
from tests.foreign_vaes import scripted, write


def lacks_of(vae: type[nn.Module], folder: Path) -> list[str]:
    return lacks(describe(write(scripted(vae()), folder / "vae.pt")).methods)


@pytest.mark.parametrize("vae", [foreign_vaes.ConvVAE, foreign_vaes.TupleVAE, foreign_vaes.RowVAE])
def test_a_module_of_the_common_form_lacks_nothing(vae: type[nn.Module], tmp_path: Path) -> None:
    assert lacks_of(vae, tmp_path) == []


@pytest.mark.parametrize(
    ("vae", "beginnings"),
    [
        (
            foreign_vaes.NameVAE,
            [
                "module.encode: there is no such method, of the methods forward(Tensor x) -> Tensor; export",
                "module.decode: there is no such method",
            ],
        ),
        (
            foreign_vaes.MomentsVAE,
            ["module.encode: is encode(Tensor x) -> Tensor; it must give [mu, log_var] as List["],
        ),
        (
            foreign_vaes.ConditionalVAE,
            ["module.decode: is decode(Tensor z, Tensor label) -> Tensor; it must do with one tensor"],
        ),
    ],
)
def test_what_is_lacking_is_named_with_what_is_there(
    vae: type[nn.Module], beginnings: list[str], tmp_path: Path
) -> None:
    found = lacks_of(vae, tmp_path)
    assert len(found) == len(beginnings)
    for sentence, beginning in zip(found, beginnings, strict=True):
        assert sentence.startswith(beginning)
