"""A variable with a slip in its name is told; those of Kubernetes, and all others, are not."""

import pytest

from service.commands.variables import strange_variables
from service.settings import Settings


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("VAE_MAX_IMAGE", "VAE_MAX_IMAGES"),
        ("VAE_CHEKPOINT", "VAE_CHECKPOINT"),
        ("vae_logformat", "VAE_LOG_FORMAT"),
    ],
)
def test_a_slip_in_a_name_is_told_with_what_was_meant(name: str, meant: str) -> None:
    (said,) = strange_variables([name, "PATH"])
    assert name.upper() in said
    assert said.endswith(f"did you mean {meant}?")


def test_a_name_that_is_like_no_setting_points_to_the_list() -> None:
    (said,) = strange_variables(["VAE_XYZZY"])
    assert said.endswith("`vae-service serve --help` lists them")


def test_every_setting_is_known_in_either_case() -> None:
    names = [f"VAE_{name.upper()}" for name in Settings.model_fields]
    assert strange_variables([*names, *map(str.lower, names)]) == []


def test_what_kubernetes_tells_of_services_is_no_slip() -> None:
    told = ["VAE_SERVICE_HOST", "VAE_SERVICE_PORT", "VAE_SERVICE_PORT_HTTP", "VAE_PORT_8000_TCP_ADDR"]
    other = ["VAE_DEMO_SERVICE_HOST", "VAE_DEMO_PORT", "VAE_DEMO_PORT_80_TCP"]
    assert strange_variables([*told, *other]) == []
    assert len(strange_variables(["VAE_DEMO_PORT"])) == 1
