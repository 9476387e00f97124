import re
import shlex
from typing import Any

import pytest
from pydantic import ValidationError

from training.config import PRESETS, build_config, command_line, config_keys, load_preset, preset_names
from training.errors import ConfigError


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_that_ships_loads(name: str) -> None:
    assert load_preset(name).preset == name


def test_the_presets_are_those_of_the_readme() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \|", (PRESETS / "README.md").read_text(), re.MULTILINE)
    assert preset_names() == sorted(set(rows))


def test_celeba_vanilla_has_the_articles_numbers() -> None:
    config = load_preset("celeba-vanilla")
    assert config.model.latent_dim == 128
    assert config.model.hidden_channels == (32, 64, 128, 256, 512)
    assert (config.optimizer.batch_size, config.optimizer.learning_rate) == (64, 0.005)
    assert config.optimizer.gamma == 0.95
    assert config.seed == 1265
    assert config.data.preprocessing.crop == 148
    assert config.data.image_shape == (3, 64, 64)


def test_celeba_vanilla_weighs_the_kl_by_0_00025_against_the_mean_pixel_error() -> None:
    sigma = load_preset("celeba-vanilla").loss.scale
    assert isinstance(sigma, float)
    assert sigma**2 == pytest.approx(3 * 64 * 64 * 0.00025 / 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer.epoch": 3}, "no key 'optimizer.epoch'; did you mean 'optimizer.epochs'"),
        ({"epochs": 3}, "no key 'epochs'; did you mean 'optimizer.epochs'"),
        ({"seeds.x": 3}, "no key .*seed"),
        ({"optimizer.epochs": 0}, "optimizer.epochs: .*greater than 0"),
        ({"optimizer.epochs": "many"}, "optimizer.epochs: .*integer"),
        ({"loss.scale": "best"}, "loss.scale"),
        ({"loss.likelihood": "bernoulli"}, "binarize"),
        ({"data.image_shape": [5, 8, 8]}, "data: .*channels"),
        ({"name": "../x"}, "name: "),
        ({"model": 3}, "model: "),
    ],
)
def test_a_wrong_change_is_named_with_its_remedy(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_preset("sprites", changes=changes)


def test_an_unknown_preset_is_named_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match="'fashion_mnist'; did you mean 'fashion-mnist'"):
        load_preset("fashion_mnist")


def test_strings_are_read_as_yaml() -> None:
    config = load_preset("sprites", changes={"model.hidden_channels": "[8, 16]", "loss.scale": "optimal"})
    assert config.model.hidden_channels == (8, 16)
    assert config.loss.scale == "optimal"


def test_the_command_of_a_changed_run_repeats_it() -> None:
    changes = {"model.hidden_channels": [8, 16], "optimizer.epochs": 3, "name": "mine", "data.limit": 10}
    config = load_preset("sprites", changes=changes)
    words = shlex.split(command_line(config))
    assert words[:6] == ["python", "-m", "training", "train", "--preset", "sprites"]
    again = {"name": words[words.index("--name") + 1]}
    again |= dict(word.split("=") for word in words if "=" in word)
    assert load_preset("sprites", changes=again) == config


def test_the_command_names_no_folder_of_this_machine() -> None:
    config = load_preset("mnist", changes={"data.root": "/somewhere/mnist", "machine.workers": 2})
    assert command_line(config) == "python -m training train --preset mnist --data DIR"


def test_a_config_survives_json() -> None:
    config = load_preset("celeba-vanilla", changes={"data.root": "x"})
    assert build_config(config.model_dump(mode="json")) == config


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_preset("sprites").optimizer.epochs = 3  # type: ignore[misc]


def test_keys_are_dotted_and_complete() -> None:
    assert {"seed", "optimizer.epochs", "data.preprocessing.crop", "machine.device"} <= set(config_keys())


def test_keys_of_every_depth_can_be_changed() -> None:
    config = load_preset("celeba-vanilla", changes={"data.preprocessing.crop": "none"})
    assert config.data.preprocessing.crop == "none"


@pytest.mark.parametrize("text", ["2024", "2024-05-01", "no", "0123", "on"])
def test_a_name_and_a_folder_are_taken_as_they_are(text: str) -> None:
    config = load_preset("folder", changes={"name": text, "data.root": text, "data.license": text})
    assert (config.name, str(config.data.root), config.data.license) == (text, text, text)


@pytest.mark.parametrize("folder", ["shots #2", "[a]", "my: pics"])
def test_a_folder_may_be_called_what_yaml_would_read_otherwise(folder: str) -> None:
    assert str(load_preset("folder", changes={"data.root": folder}).data.root) == folder


def test_the_command_keeps_spaces_and_what_shells_would_read() -> None:
    changes = {"data.license": "CC BY 4.0", "data.image_shape": [3, 16, 16], "data.root": "x"}
    config = load_preset("folder", changes=changes)
    command = command_line(config)
    assert "'data.image_shape=[3,16,16]'" in command
    again = dict(word.split("=") for word in shlex.split(command) if "=" in word)
    assert load_preset("folder", changes={**again, "data.root": "x"}) == config
    nothing = load_preset("fashion-mnist", changes={"data.license": "null"})
    assert "data.license=null" in command_line(nothing)
