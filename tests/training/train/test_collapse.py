import lightning
import pytest
import torch

from training.config import Config, build_config
from training.data import load_splits
from training.data.batches import validation_images, validation_loader
from training.lightning_module import VAETraining
from training.train.collapse import CollapseWatch, num_active

# A loss with a KL divergence, judged from the first step.
AT_ONCE: dict[str, object] = {"loss.objective": "elbo", "optimizer.warmup_steps": 0}


def test_units_whose_mean_varies_by_more_than_a_hundredth_are_active() -> None:
    # Burda et al. 2016, section 4.2, on planted means: one that varies, one that hardly does, one constant.
    generator = torch.Generator().manual_seed(0)
    mu = torch.randn(10_000, 3, generator=generator, dtype=torch.float64) * torch.tensor([1.0, 0.09, 0.0]) + 5
    sums = torch.stack([torch.ones_like(mu), mu, mu.square()]).sum(dim=1)
    assert num_active(sums) == 1


def validate(config: Config) -> None:
    training = VAETraining(config)
    trainer = lightning.Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        enable_checkpointing=False, callbacks=[CollapseWatch()],
    )  # fmt: skip
    images = validation_images(load_splits(config), config=config)
    trainer.validate(training, validation_loader(images, config=config), verbose=False)


def test_collapse_is_said_in_words_with_the_remedy(
    tiny_config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    validate(build_config(tiny_config.model_dump(), changes=AT_ONCE))
    # An untrained network's units vary by nothing that counts.
    assert "posterior collapse: 0 of 3 latent units are active" in caplog.text
    assert "loss.scale=optimal" in caplog.text


@pytest.mark.parametrize("change", [{"loss.kl_warmup_epochs": 2}, {"optimizer.warmup_steps": 10}])
def test_nothing_is_said_while_the_kl_weight_or_the_learning_rate_still_rises(
    tiny_config: Config, caplog: pytest.LogCaptureFixture, change: dict[str, object]
) -> None:
    validate(build_config(tiny_config.model_dump(), changes=AT_ONCE | change))
    assert "collapse" not in caplog.text


def test_nothing_is_said_of_a_single_image(tiny_config: Config, caplog: pytest.LogCaptureFixture) -> None:
    validate(build_config(tiny_config.model_dump(), changes=AT_ONCE | {"data.limit": 1}))
    assert "collapse" not in caplog.text
