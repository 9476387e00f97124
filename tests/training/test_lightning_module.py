import math

import lightning
import pytest
import torch
from lightning.pytorch.plugins import MixedPrecision
from torch.amp import GradScaler

from training.config import Config, build_config
from training.data import load_splits
from training.data.batches import training_loader, validation_images, validation_loader
from training.errors import TrainingDiverged
from training.lightning_module import Terms, VAETraining, as_unit_range, seeded_noise
from training.losses import gaussian_kl

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")


def built(config: Config, **changes: object) -> VAETraining:
    """An untrained network in evaluation mode; keys with __ for dots."""
    dotted = {key.replace("__", "."): value for key, value in changes.items()}
    return VAETraining(build_config(config.model_dump(), changes=dotted)).eval()


@pytest.fixture
def images(tiny_config: Config) -> torch.Tensor:
    return as_unit_range(load_splits(tiny_config).train[:6])


@torch.no_grad()
def test_the_elbo_objective_is_distortion_plus_weighted_kl(tiny_config: Config, images: torch.Tensor) -> None:
    training = built(tiny_config)
    noise = seeded_noise(4, 6, 3, seed=0)
    terms = training.measure(images, noise=noise)
    mu, log_var = training.model.encode(images)
    distortions = [
        training.likelihood(images, training.model.decode_logits(mu + torch.exp(log_var / 2) * row))
        for row in noise
    ]
    expected = torch.stack(distortions).mean() + 0.3 * gaussian_kl(mu, log_var).mean()
    torch.testing.assert_close(training.objective(terms, kl_weight=0.3), expected)


@torch.no_grad()
def test_with_one_sample_the_importance_weighted_bound_is_an_elbo_and_with_more_it_is_tighter(
    tiny_config: Config, images: torch.Tensor
) -> None:
    training = built(tiny_config, loss__objective="iwae")
    one = training.measure(images, noise=seeded_noise(1, 6, 3, seed=0))
    torch.testing.assert_close(training.objective(one, kl_weight=1), -one.log_weights.mean())
    many = training.measure(images, noise=seeded_noise(500, 6, 3, seed=0))
    assert training.objective(many, kl_weight=1) < -many.log_weights.mean()


@torch.no_grad()
def test_an_autoencoder_decodes_mu_and_has_neither_rate_nor_elbo(
    tiny_config: Config, images: torch.Tensor
) -> None:
    training = built(tiny_config, loss__objective="autoencoder")
    terms = training.measure(images, noise=seeded_noise(1, 6, 3, seed=0))
    mu, log_var = training.model.encode(images)
    expected = training.likelihood(images, training.model.decode_logits(mu)).mean()
    torch.testing.assert_close(training.objective(terms, kl_weight=1), expected)
    assert set(training.figures(terms)) == {"distortion", "mse"}
    assert (log_var == -10).all()


def test_what_is_shown_is_encoded_and_what_is_meant_is_compared(
    tiny_config: Config, images: torch.Tensor
) -> None:
    training = built(tiny_config)
    noise = torch.zeros(1, 6, 3)
    with torch.no_grad():
        shown = training.measure(images, noise=noise, shown=images.flip(0))
        mu, _ = training.model.encode(images.flip(0))
        expected = training.likelihood(images, training.model.decode_logits(mu))
    torch.testing.assert_close(shown.distortion[0], expected)


def test_a_training_step_shows_spoilt_images_and_a_validation_step_the_clean_ones(
    tiny_config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    measure = VAETraining.measure

    def watched(
        self: VAETraining, images: torch.Tensor, *, noise: torch.Tensor, shown: torch.Tensor | None = None
    ) -> Terms:
        seen.append((self.training, images, images if shown is None else shown))
        return measure(self, images, noise=noise, shown=shown)

    monkeypatch.setattr(VAETraining, "measure", watched)
    fit(build_config(tiny_config.model_dump(), changes={"data.mask": 0.5}), lightning.Callback())
    assert [is_training for is_training, _, _ in seen] == [True, True, True, True, False]
    for is_training, images, shown in seen:
        share_spoilt = (shown != images).any(dim=1).float().mean().item()
        assert share_spoilt == pytest.approx(0.5 if is_training else 0.0, abs=0.05)


def test_the_objective_of_validation_has_the_final_kl_weight_also_during_the_warmup(
    tiny_config: Config,
) -> None:
    changes = {"loss.kl_warmup_epochs": 5, "loss.kl_weight": 4.0}
    training = fit(build_config(tiny_config.model_dump(), changes=changes), lightning.Callback())
    figures = {name: value.item() for name, value in training.trainer.callback_metrics.items()}
    rate = (figures["val/loss"] - figures["val/distortion"]) / 4
    assert rate == pytest.approx(figures["val/rate"], rel=0.05)


class SpoilGradients(lightning.Callback):
    """Makes the gradients of some steps infinite, and keeps the weights after each step."""

    def __init__(self, steps: range) -> None:
        self.steps = steps
        self.weights: list[torch.Tensor] = []

    def on_after_backward(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if trainer.global_step in self.steps:
            next(pl_module.parameters()).grad.fill_(math.inf)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *_: object
    ) -> None:
        self.weights.append(torch.cat([weight.detach().flatten() for weight in pl_module.parameters()]))


def fit(config: Config, callback: lightning.Callback, *, scaler: GradScaler | None = None) -> VAETraining:
    training = VAETraining(config)
    trainer = lightning.Trainer(
        plugins=[] if scaler is None else [MixedPrecision("16-mixed", "cpu", scaler)],
        accelerator="cpu", max_epochs=config.optimizer.epochs, logger=False, enable_progress_bar=False,
        enable_model_summary=False, enable_checkpointing=False, num_sanity_val_steps=0, callbacks=[callback],
    )  # fmt: skip
    splits = load_splits(config)
    validation = validation_loader(validation_images(splits, config=config), config=config)
    trainer.fit(training, training_loader(splits, config=config), validation)
    return training


def test_a_step_whose_gradient_is_not_finite_leaves_the_weights_alone_and_is_counted(
    tiny_config: Config,
) -> None:
    spoiled = SpoilGradients(range(1, 2))
    training = fit(tiny_config, spoiled)
    assert training.num_skipped_steps == 1
    first, second, third, _ = spoiled.weights
    assert torch.equal(first, second)
    assert not torch.equal(second, third)


def test_a_run_whose_gradients_are_never_finite_stops_and_says_so(tiny_config: Config) -> None:
    config = build_config(tiny_config.model_dump(), changes={"optimizer.epochs": 5})
    with pytest.raises(TrainingDiverged, match=r"10 steps in a row .* at step 10 \(epoch 2\).*--lr 0.0006"):
        fit(config, SpoilGradients(range(100)))


def test_the_gradient_is_clipped_to_the_norm_asked_for(tiny_config: Config) -> None:
    class Norms(lightning.Callback):
        norms: list[float] = []  # noqa: RUF012

        def on_before_zero_grad(
            self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, optimizer: object
        ) -> None:
            grads = [weight.grad.flatten() for weight in pl_module.parameters() if weight.grad is not None]
            if grads:
                self.norms.append(torch.cat(grads).norm().item())

    norms = Norms()
    fit(build_config(tiny_config.model_dump(), changes={"optimizer.clip_norm": 0.5}), norms)
    assert norms.norms
    assert max(norms.norms) <= 0.5 * (1 + 1e-5)


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")
def test_in_float16_gradients_that_overflow_are_skipped_until_the_scale_is_low_enough(
    tiny_config: Config,
) -> None:
    changes = {"machine.precision": "float16", "optimizer.epochs": 4}
    spoiled, scaler = SpoilGradients(range(12)), GradScaler("cpu", init_scale=2.0**16)
    training = fit(build_config(tiny_config.model_dump(), changes=changes), spoiled, scaler=scaler)
    assert training.num_skipped_steps == 12
    assert scaler.get_scale() == 2.0 ** (16 - 12)
    assert torch.equal(spoiled.weights[0], spoiled.weights[11])
    assert not torch.equal(spoiled.weights[11], spoiled.weights[12])


def test_in_float16_it_is_the_gradient_without_its_scale_that_is_measured_and_clipped(
    tiny_config: Config,
) -> None:
    def last_norm(precision: str, scaler: GradScaler | None) -> float:
        changes = {"machine.precision": precision, "optimizer.batch_size": 64, "optimizer.clip_norm": 0.5}
        torch.manual_seed(0)
        config = build_config(tiny_config.model_dump(), changes=changes)
        training = fit(config, lightning.Callback(), scaler=scaler)
        return training.trainer.callback_metrics["train/gradient_norm"].item()

    expected = last_norm("float32", None)
    assert last_norm("float16", GradScaler("cpu", init_scale=16.0)) == pytest.approx(expected, rel=0.02)
