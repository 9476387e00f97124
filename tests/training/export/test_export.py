from pathlib import Path

import pytest
import torch

from service.checkpoint import load
from service.scripted import as_vae
from training.config import Config, build_config
from training.data import load_splits
from training.data.batches import binarized, validation_images
from training.errors import ExportError
from training.export import export_checkpoint, load_trained, stored_config
from training.export.comparison import compare
from training.export.module import build_module
from training.export.quality import measure_quality
from training.lightning_module import VAETraining, as_unit_range
from training.run_folder import RunFolder
from training.train import train


@pytest.fixture(scope="module")
def run(tiny_config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    train(tiny_config, runs=runs)
    return runs / "sprites"


def test_the_loaded_checkpoint_computes_what_the_trained_network_does(run: Path, tiny_config: Config) -> None:
    images = validation_images(load_splits(tiny_config), config=tiny_config)
    trained, _ = load_trained(RunFolder(run).best(), splits=load_splits(tiny_config))
    difference = compare(trained.model, load(run / "model.pt").module, images)
    assert max(difference["mu"], difference["log_var"]) < 1e-4
    assert difference["pixels"] <= 1


def test_bfloat16_weights_change_pixels_by_few_levels_and_outputs_keep_their_types(run: Path) -> None:
    module = as_vae(load(run / "model.pt").module)
    z = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    images = module.decode(z)
    lower = as_vae(load(run / "model.pt").module.to(torch.bfloat16))
    assert lower.decode(z).dtype == torch.uint8
    assert int((lower.decode(z).int() - images.int()).abs().max()) <= 4
    assert [values.dtype for values in lower.encode(images)] == [torch.float32] * 2


def test_metadata_tells_how_it_was_made_and_names_no_path(run: Path, tiny_config: Config) -> None:
    metadata = load(run / "model.pt").metadata
    assert metadata.name == "sprites"
    assert metadata.latent_dim == 3
    assert metadata.provenance.command.startswith("python -m training train --preset sprites --set ")
    assert metadata.provenance.steps == 4
    assert "machine" not in metadata.provenance.config
    assert str(run.parent) not in metadata.model_dump_json()
    assert {"elbo", "rate", "distortion", "mse", "active_units", "sigma"} == set(metadata.quality)


def test_quality_adds_up_and_the_best_checkpoint_is_named_after_it(run: Path) -> None:
    quality = load(run / "model.pt").metadata.quality
    assert quality["elbo"] == pytest.approx(-quality["rate"] - quality["distortion"], abs=1e-4)
    assert 0 <= quality["active_units"] <= 3


def test_an_untrained_latent_that_ignores_its_input_is_not_active(tiny_config: Config) -> None:
    training = VAETraining(tiny_config)
    with torch.no_grad():
        training.model.mu.weight[1] = 0
        training.model.mu.weight[0] *= 100
    images = validation_images(load_splits(tiny_config), config=tiny_config)
    training.train()
    training.model(images / 255, torch.zeros(len(images), 3))  # gives BatchNorm its statistics
    assert measure_quality(training, images).figures["active_units"] < 3


def test_a_module_that_differs_is_refused(run: Path, tiny_config: Config) -> None:
    training, _ = load_trained(RunFolder(run).best(), splits=load_splits(tiny_config))
    module = build_module(training.model)
    with torch.no_grad():
        module.encoder[-1].bias[0] += 0.01
    images = validation_images(load_splits(tiny_config), config=tiny_config)
    with pytest.raises(ExportError, match=r"differs from the trained network in mu by 0\.01"):
        compare(training.model, module, images)

    module = build_module(training.model)
    with torch.no_grad():
        module.decoder[-1].bias += 0.002  # no more than a level
    with pytest.raises(ExportError, match=r"differs from the trained network in logits by 0\.002"):
        compare(training.model, module, images)


def test_weights_of_another_network_are_told_in_one_line(
    run: Path, tiny_config: Config, tmp_path: Path
) -> None:
    state = torch.load(RunFolder(run).best(), weights_only=True)
    name = next(name for name in state["state_dict"] if name.endswith("mu.weight"))
    state["state_dict"][f"{name}.of.old"] = state["state_dict"].pop(name)
    torch.save(state, tmp_path / "old.ckpt")
    with pytest.raises(
        ExportError, match=r"old\.ckpt does not fit its own config, so another version"
    ) as caught:
        load_trained(tmp_path / "old.ckpt", splits=load_splits(tiny_config))
    assert "\n" not in str(caught.value)


def test_exporting_leaves_the_trained_network_as_it_was(run: Path, tiny_config: Config) -> None:
    training, _ = load_trained(RunFolder(run).best(), splits=load_splits(tiny_config))
    before = {name: value.clone() for name, value in training.model.state_dict().items()}
    build_module(training.model)
    for name, value in training.model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_an_older_checkpoint_is_replaced_whole(run: Path, tiny_config: Config, tmp_path: Path) -> None:
    target = tmp_path / "model.pt"
    target.write_text("older")
    export_checkpoint(RunFolder(run).best(), target=target, splits=load_splits(tiny_config))
    assert load(target).metadata.name == "sprites"
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt"]


@pytest.mark.parametrize("content", [b"", b"text", None])
def test_a_file_that_is_no_checkpoint_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "some.ckpt"
    if content is None:
        torch.save({"state_dict": {}}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(ExportError, match=r"some\.ckpt is no checkpoint of a training run"):
        stored_config(path)
    with pytest.raises(ExportError, match=r"nowhere\.ckpt cannot be read"):
        stored_config(tmp_path / "nowhere.ckpt")


def test_sigma_of_binary_images_is_that_of_their_own_errors_and_batch_norm_has_their_statistics(
    tiny_config: Config, tmp_path: Path
) -> None:
    changes = {"data.binarize": True, "loss.scale": "optimal", "prior.components": 0}
    config = build_config(tiny_config.model_dump(), changes=changes)
    exported = train(config, runs=tmp_path)
    assert exported is not None
    quality = load(exported).metadata.quality
    assert quality["sigma"] == pytest.approx(quality["mse"] ** 0.5, rel=1e-4)

    splits = load_splits(config)
    training, _ = load_trained(RunFolder(tmp_path / "sprites").best(), splits=splits)
    images = binarized(splits.train, generator=torch.Generator().manual_seed(config.seed))
    with torch.no_grad():
        features = training.model.encoder[0][0](as_unit_range(images))
    torch.testing.assert_close(training.model.encoder[0][1].running_mean, features.mean(dim=(0, 2, 3)))


def test_a_checkpoint_of_a_binary_data_set_has_no_sigma(tiny_config: Config) -> None:
    changes = {"data.binarize": True, "loss.likelihood": "bernoulli"}
    config = build_config(tiny_config.model_dump(), changes=changes)
    images = validation_images(load_splits(config), config=config)
    quality = measure_quality(VAETraining(config), images).figures
    assert "sigma" not in quality
    assert quality["distortion"] == pytest.approx(
        3 * 16 * 16 * 0.693, rel=0.1
    )  # an untrained coin: ln 2 a pixel
