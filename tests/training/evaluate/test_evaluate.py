import dataclasses
import json
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Normal, kl_divergence

from service.checkpoint import load, replace_metadata
from tests.training.evaluate.linear_gaussian import (
    IMAGE_SHAPE,
    LATENT_DIM,
    GaussianAroundLogits,
    LinearGaussian,
    drawn_images,
)
from training.config import DataConfig
from training.data.labels import LabelledImages, Labels, as_classes
from training.errors import EvaluationError
from training.evaluate import evaluate, keep
from training.evaluate.autoencoder import Autoencoder
from training.evaluate.classifier import Classifier
from training.evaluate.groups import GROUPS
from training.evaluate.images import EvaluatedImages
from training.evaluate.importance_bound import measure_importance_bound, partial_path
from training.evaluate.measurement import Measurement, Settings
from training.evaluate.prior import Prior
from training.evaluate.samples import measure_frechet_distance
from training.evaluate.subject import Subject

NUM_VALIDATION_IMAGES = 13  # of 128 sprites, a tenth


def settings_of(tmp_path: Path, *, num_importance_samples: int = 0) -> Settings:
    return Settings(
        num_importance_samples=num_importance_samples,
        seed=0,
        cache=tmp_path / "cache",
        device=torch.device("cpu"),
    )


def linear_measurement(
    tmp_path: Path, autoencoder: Autoencoder, *, num_images: int, num_importance_samples: int = 0
) -> Measurement:
    images = drawn_images(num_images)
    subject = Subject(
        path=tmp_path / "linear.pt",
        digest="of the linear model",
        autoencoder=autoencoder,
        likelihood_name="gaussian",
        likelihood=GaussianAroundLogits(),
        is_point=False,
        priors={"standard": Prior(LATENT_DIM)},
        image_shape=IMAGE_SHAPE,
        data=DataConfig(dataset="folder", image_shape=IMAGE_SHAPE),
        seed=0,
        metadata=None,
    )
    settings = settings_of(tmp_path, num_importance_samples=num_importance_samples)
    return Measurement(subject, EvaluatedImages("test", images, images, None, None), settings)


def test_with_the_exact_posterior_elbo_and_importance_bound_are_the_log_likelihood(tmp_path: Path) -> None:
    model = LinearGaussian()
    measurement = linear_measurement(tmp_path, model, num_images=2000, num_importance_samples=2)
    for name in ("distortion", "rate", "importance_bound"):
        GROUPS[name](measurement)
    log_likelihood = float(model.log_likelihood(drawn_images(2000)).mean())
    values, errors = measurement.figures.values, measurement.figures.standard_errors
    assert values["nll_iw2"] == pytest.approx(-log_likelihood, abs=1e-3)
    assert values["elbo"] == pytest.approx(log_likelihood, abs=4 * errors["elbo"])
    assert values["elbo"] == pytest.approx(-values["distortion"] - values["rate"], abs=1e-4)


def test_the_rate_is_that_of_torch_distributions_and_its_units_add_up_to_it(tmp_path: Path) -> None:
    model = LinearGaussian(inflation=2.0)
    measurement = linear_measurement(tmp_path, model, num_images=100)
    GROUPS["rate"](measurement)
    mu, log_var = model.encode(drawn_images(100))
    posterior = Independent(Normal(mu, torch.exp(log_var / 2)), 1)
    prior = Independent(Normal(torch.zeros_like(mu), torch.ones_like(mu)), 1)
    expected = float(kl_divergence(posterior, prior).mean())
    assert measurement.figures.values["rate"] == pytest.approx(expected, rel=1e-4)
    assert measurement.figures.unit_kl is not None
    assert sum(measurement.figures.unit_kl) == pytest.approx(expected, rel=1e-4)


class Interrupted(LinearGaussian):
    """Ctrl-C comes while it decodes for the last time."""

    def __init__(self, num_decodings: int) -> None:
        super().__init__(inflation=2.0)
        self.num_left = num_decodings

    def decode_logits(self, z: Tensor) -> Tensor:
        self.num_left -= 1
        if self.num_left < 0:
            raise KeyboardInterrupt
        return super().decode_logits(z)


def test_after_ctrl_c_the_importance_bound_goes_on_and_comes_to_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def measured(autoencoder: Autoencoder) -> Measurement:
        return linear_measurement(tmp_path, autoencoder, num_images=40, num_importance_samples=20_000)

    caplog.set_level("INFO", logger="training")
    undisturbed = measured(LinearGaussian(inflation=2.0))
    measure_importance_bound(undisturbed)
    partial_path(undisturbed).unlink()

    with pytest.raises(KeyboardInterrupt):
        measure_importance_bound(measured(Interrupted(num_decodings=20)))
    assert "images are kept in" in caplog.text

    second = Interrupted(num_decodings=10_000)
    resumed = measured(second)
    measure_importance_bound(resumed)
    assert "images are taken from" in caplog.text
    assert 10_000 - second.num_left < 80  # two for each image, had it begun anew
    assert resumed.figures.values == undisturbed.figures.values


def test_of_more_images_than_are_compared_those_of_every_class_are_taken_with_their_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def watched(_: Classifier, images: Tensor, labels: Labels) -> float:
        seen.append((len(images), labels.values.sum(dim=0).tolist()))
        return 1.0

    monkeypatch.setattr("training.evaluate.samples.MAX_IMAGES", 200)
    monkeypatch.setattr("training.evaluate.samples.accuracy", watched)
    images, labels = drawn_images(300), as_classes(torch.arange(300) // 150, ("cats", "dogs"))
    measurement = dataclasses.replace(
        linear_measurement(tmp_path, LinearGaussian(), num_images=1),
        images=EvaluatedImages("test", images, images, labels, None),
    )
    vars(measurement)["training_part"] = LabelledImages(images, labels)
    measure_frechet_distance(measurement)
    assert seen == [(200, [100, 100])]


def test_a_run_is_measured_and_its_figures_are_those_of_the_export(run: Path, tmp_path: Path) -> None:
    exported = load(run / "model.pt").metadata
    measurement = evaluate(run, settings=settings_of(tmp_path, num_importance_samples=5))
    figures = measurement.figures
    assert measurement.images.split == "validation"
    assert set(figures.values) == {
        "distortion", "elbo", "rate", "mse", "psnr", "ssim", "active_units", "mutual_information",
        "prior_gap_standard", "prior_gap_fitted", "sliced_wasserstein_standard",
        "sliced_wasserstein_fitted", "sliced_wasserstein_train", "nll_iw5",
    }  # fmt: skip
    assert figures.skipped == {"frechet_classifier": "the covariance of 64 features needs 128 images or more"}
    for name in ("rate", "active_units"):
        assert figures.values[name] == pytest.approx(exported.quality[name], abs=1e-3)
    assert figures.unit_kl == pytest.approx(exported.unit_kl, abs=1e-3)
    assert figures.values["elbo"] == pytest.approx(exported.quality["elbo"], rel=0.05)  # the noise is another


def test_an_exported_and_a_lightning_checkpoint_have_the_same_figures(run: Path, tmp_path: Path) -> None:
    checkpoint = sorted((run / "checkpoints").glob("epoch*"))[0]
    settings = settings_of(tmp_path, num_importance_samples=3)
    exported, trained = (evaluate(path, settings=settings).figures.values for path in (run, checkpoint))
    for name in set(exported) - {name for name in exported if name.endswith("_fitted")}:
        # Decoded pixels are rounded where the module has no logits.
        assert trained[name] == pytest.approx(exported[name], rel=0.02, abs=0.02), name


def test_results_are_kept_as_json_and_in_the_metadata(run: Path, tmp_path: Path) -> None:
    path = run / "model.pt"
    before = load(path)
    measurement = evaluate(path, settings=settings_of(tmp_path, num_importance_samples=2))
    assert partial_path(measurement).exists()
    keep(measurement, output=tmp_path / "results.json", seconds=1.5, is_written=True)
    assert not partial_path(measurement).exists()

    results = json.loads((tmp_path / "results.json").read_text())
    assert results["protocol"] == {
        "dataset": "sprites", "split": "validation", "num_images": NUM_VALIDATION_IMAGES,
        "binarization_seed": None, "seed": 0, "num_importance_samples": 2, "likelihood": "gaussian",
        "likelihood_scale": 0.25, "means": "logits", "mutual_information_limit": 2.564949,
    }  # fmt: skip
    assert results["figures"] == measurement.figures.values
    assert results["standard_errors"]["nll_iw2"] > 0

    after = load(path)
    expected = {"sigma": 0.25, "num_validation_images": NUM_VALIDATION_IMAGES, **measurement.figures.values}
    assert after.metadata.quality == pytest.approx(expected)
    assert after.metadata.unit_kl == measurement.figures.unit_kl
    changed = {"quality", "unit_kl"}
    assert after.metadata.model_dump(exclude=changed) == before.metadata.model_dump(exclude=changed)
    assert (after.golden.images == before.golden.images).all()


def test_a_figure_of_the_same_images_is_kept_and_one_of_others_is_not(run: Path, tmp_path: Path) -> None:
    path = run / "model.pt"
    metadata = load(path).metadata
    for num_images, is_kept in ((NUM_VALIDATION_IMAGES, True), (NUM_VALIDATION_IMAGES + 1, False)):
        quality = {"nll_iw5000": 1.0, "sigma": 0.25, "num_validation_images": float(num_images)}
        replace_metadata(path, metadata.model_copy(update={"quality": quality}))
        measurement = evaluate(path, settings=settings_of(tmp_path))
        keep(measurement, output=tmp_path / "results.json", seconds=1.0, is_written=True)
        assert ("nll_iw5000" in load(path).metadata.quality) is is_kept
        assert load(path).metadata.quality["sigma"] == 0.25


def test_the_checkpoint_can_be_left_alone(run: Path, tmp_path: Path) -> None:
    before = (run / "model.pt").read_bytes()
    measurement = evaluate(run, settings=settings_of(tmp_path))
    keep(measurement, output=tmp_path / "results.json", seconds=1.0, is_written=False)
    assert (run / "model.pt").read_bytes() == before


@pytest.mark.slow
def test_labelled_images_have_a_frechet_distance_that_is_smallest_for_training_images(
    run: Path, tmp_path: Path
) -> None:
    path = run / "model.pt"
    metadata = load(path).metadata
    data = {**dict(metadata.provenance.config["data"]), "limit": 1300}  # type: ignore[arg-type]
    config = {**metadata.provenance.config, "data": data}
    provenance = metadata.provenance.model_copy(update={"config": config})
    replace_metadata(path, metadata.model_copy(update={"provenance": provenance}))
    figures = evaluate(path, settings=settings_of(tmp_path)).figures
    assert figures.protocol["classifier"]["accuracy"] > 0.5  # type: ignore[index]  # of four shapes
    distances = {
        name: figures.values[f"frechet_classifier_{name}"] for name in ("standard", "fitted", "train")
    }
    assert 0 < distances["train"] < min(distances["standard"], distances["fitted"])


def test_an_autoencoder_has_no_rate_and_no_bound(run: Path, tmp_path: Path) -> None:
    path = run / "model.pt"
    metadata = load(path).metadata
    config = {**metadata.provenance.config, "loss": {"objective": "autoencoder"}}
    provenance = metadata.provenance.model_copy(update={"config": config})
    replace_metadata(path, metadata.model_copy(update={"provenance": provenance}))
    figures = evaluate(path, settings=settings_of(tmp_path, num_importance_samples=5)).figures
    assert {"distortion", "mse", "active_units"} <= set(figures.values)
    assert not {"elbo", "rate", "nll_iw5", "mutual_information"} & set(figures.values)
    assert "trained as an autoencoder" in figures.skipped["rate"]
    assert figures.unit_kl is None


def test_a_checkpoint_without_a_scale_has_every_figure_but_those_of_the_likelihood(
    run: Path, tmp_path: Path
) -> None:
    path = run / "model.pt"
    metadata = load(path).metadata
    replace_metadata(path, metadata.model_copy(update={"likelihood_scale": None, "quality": {}}))
    figures = evaluate(path, settings=settings_of(tmp_path, num_importance_samples=5)).figures
    assert {"rate", "mse", "mutual_information"} <= set(figures.values)
    for name in ("distortion", "importance_bound"):
        assert "no likelihood_scale" in figures.skipped[name]


def test_images_of_another_shape_are_refused(run: Path, tmp_path: Path) -> None:
    path = run / "model.pt"
    metadata = load(path).metadata
    data = {**dict(metadata.provenance.config["data"]), "image_shape": [3, 8, 8]}  # type: ignore[arg-type]
    provenance = metadata.provenance.model_copy(
        update={"config": {**metadata.provenance.config, "data": data}}
    )
    replace_metadata(path, metadata.model_copy(update={"provenance": provenance}))
    with pytest.raises(EvaluationError, match=r"is of images 3x16x16, the data are 3x8x8: name the data set"):
        evaluate(path, settings=settings_of(tmp_path))


def test_a_full_disk_is_said_in_one_line(run: Path, tmp_path: Path) -> None:
    measurement = evaluate(run, settings=settings_of(tmp_path))
    with pytest.raises(EvaluationError, match=r"/dev/full cannot be written: No space left on device"):
        keep(measurement, output=Path("/dev/full"), seconds=1.0, is_written=False)
