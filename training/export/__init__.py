"""Lightning checkpoint -> the TorchScript checkpoint that the service loads."""

import logging
import pickle
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from service.checkpoint import save
from service.metadata import Metadata, Provenance
from service.prior import Mixture
from service.scoring.distribution import score_distribution
from service.scripted import as_vae, without_deprecation_warning
from training.config import Config, build_config, command_line
from training.data.batches import binarized, validation_images
from training.data.fingerprint import fingerprint, warn_of_others
from training.data.splits import ImageSplits
from training.errors import ExportError
from training.export.calibration import calibrate
from training.export.comparison import compare
from training.export.module import build_module
from training.export.prior import MAX_IMAGES, fit_mixture, register_prior, training_latents
from training.export.quality import Quality, measure_quality
from training.lightning_module import VAETraining

logger = logging.getLogger(__name__)

NUM_COMPARED_IMAGES = 200


def stored_config(checkpoint: Path) -> Config:
    """The config that a Lightning checkpoint of this project was trained with.

    Raises:
        ExportError: The file is missing, or is no such checkpoint.
    """
    return build_config(_read(checkpoint)["config"])


def export_checkpoint(checkpoint: Path, *, target: Path, splits: ImageSplits) -> Path:
    """Write the exported form of a Lightning checkpoint, after comparing it with the network it came from.

    Args:
        checkpoint: A `.ckpt` file of a run.
        target: Where to write; replaced whole or not at all.
        splits: The images of the run: those for validation are measured and compared.

    Returns:
        The target.

    Raises:
        ExportError: The two differ, or a file cannot be read or written.
    """
    training, state = load_trained(checkpoint, splits=splits)
    images = validation_images(splits, config=training.config)

    module = build_module(training.model)
    mixture = _fitted_prior(training, splits.train)
    if mixture is not None:
        register_prior(module, mixture)
    with without_deprecation_warning():
        scripted = torch.jit.script(module)
    difference = compare(training.model, scripted, images[:NUM_COMPARED_IMAGES])
    quality = measure_quality(training, images)
    changes = {
        "likelihood_scale": training.likelihood.scale(),
        "prior": "standard" if mixture is None else "fitted",
    }
    metadata = _metadata(training.config, state, quality, difference, splits)
    metadata = metadata.model_copy(update=changes)
    scores = score_distribution(as_vae(scripted), images, metadata, prior=mixture)
    try:
        save(target, scripted, metadata.model_copy(update={"scores": scores}))
    except OSError as error:
        raise ExportError(f"{target} cannot be written: {error.strerror or error}") from None
    _say_what_was_exported(checkpoint, target, metadata)
    return target


def load_trained(checkpoint: Path, *, splits: ImageSplits) -> tuple[VAETraining, dict[str, Any]]:
    """The network of a Lightning checkpoint, calibrated on its images, and the checkpoint's state.

    Raises:
        ExportError: The file is missing, is no such checkpoint, or its weights are of another network.
    """
    state = _read(checkpoint)
    warn_of_others(splits.train, expected=_training_fingerprint(state))
    training = VAETraining(build_config(state["config"]))
    try:
        training.load_state_dict(state["state_dict"])
    except RuntimeError as error:
        raise ExportError(
            f"{checkpoint} does not fit its own config, so another version of this code wrote it: "
            f"{str(error).splitlines()[-1].strip()}"
        ) from None
    shown = _as_shown(splits.train, training.config)
    calibrate(training, shown, unseen=validation_images(splits, config=training.config))
    return training, state


def _as_shown(images: Tensor, config: Config) -> Tensor:
    """Training images, uint8 (N, C, H, W), binary where the config binarizes: drawn once, by the seed."""
    if not config.data.binarize:
        return images
    return binarized(images, generator=torch.Generator().manual_seed(config.seed))


def _fitted_prior(training: VAETraining, images: Tensor) -> Mixture | None:
    config = training.config
    if config.prior.components == 0:
        return None
    logger.info("fitting the prior to the latents of %d images", min(len(images), MAX_IMAGES))
    z = training_latents(training, _as_shown(images, config))
    return fit_mixture(z, num_components=config.prior.components, seed=config.seed)


def _read(checkpoint: Path) -> dict[str, Any]:
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ExportError(f"{checkpoint} cannot be read: {error.strerror}") from None
    except (RuntimeError, pickle.UnpicklingError, EOFError, LookupError):
        state = None
    if not isinstance(state, dict) or not {"config", "state_dict", "epoch", "global_step"} <= state.keys():
        raise ExportError(
            f"{checkpoint} is no checkpoint of a training run; they are in runs/NAME/checkpoints"
        )
    return state


def _training_fingerprint(state: dict[str, Any]) -> int | None:
    """What the run's loader kept in a checkpoint, to be resumed on the same images only."""
    try:
        (loader,) = state["loops"]["fit_loop"]["state_dict"]["combined_loader"]
        return int(loader["fingerprint"])
    except (LookupError, TypeError, ValueError):
        return None


def _metadata(
    config: Config,
    state: dict[str, Any],
    quality: Quality,
    difference: dict[str, float],
    splits: ImageSplits,
) -> Metadata:
    return Metadata(
        name=config.name,
        created_at=datetime.now(UTC).replace(microsecond=0),
        architecture=config.model.architecture,
        image_shape=config.data.image_shape,
        latent_dim=config.model.latent_dim,
        preprocessing=config.data.preprocessing,
        likelihood=config.loss.likelihood,
        provenance=Provenance(
            dataset=config.data.dataset,
            dataset_license=config.data.license,
            num_training_images=len(splits.train),
            validation_fingerprint=fingerprint(splits.validation),
            preset=config.preset,
            command=command_line(config),
            config=config.model_dump(mode="json", exclude={"machine": True, "data": {"root"}}),
            commit=_commit(),
            epochs=state["epoch"] + 1,
            steps=state["global_step"],
            torch_version=str(torch.__version__),
        ),
        quality=quality.figures,
        unit_kl=quality.unit_kl,
        export_difference=difference,
    )


def _commit() -> str | None:
    """The commit of this source tree; None where it is no git checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _say_what_was_exported(checkpoint: Path, target: Path, metadata: Metadata) -> None:
    logger.info("exported %s as %s (%.1f MB)", checkpoint, target, target.stat().st_size / 1e6)
    differences = metadata.export_difference
    logger.info(
        "largest difference from the trained network: mu %.1e, log_var %.1e, pixels %d of 255",
        differences["mu"], differences["log_var"], differences["pixels"],
    )  # fmt: skip
    figures = ", ".join(f"{name} {value:g}" for name, value in metadata.quality.items())
    logger.info("validation, in nats an image: %s", figures)
