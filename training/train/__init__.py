"""One run from config to exported checkpoint; every file goes into the run's folder."""

import logging
import sys
import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import lightning
import torch
from lightning.pytorch.callbacks import LearningRateMonitor, RichProgressBar
from lightning.pytorch.utilities import rank_zero_only

from training.config import Config
from training.data import load_splits
from training.data.splits import ImageSplits
from training.errors import RunStopped
from training.export import export_checkpoint
from training.lightning_module import VAETraining
from training.run_folder import RunFolder
from training.train.averaging import MovingAverage
from training.train.best_checkpoints import BestCheckpoints
from training.train.callbacks import EpochReport, LearningRateOfConfig, StepSeeds
from training.train.collapse import CollapseWatch
from training.train.endings import told_how_to_export, told_in_one_line
from training.train.grids import GridWriter, served_grid, write_grid
from training.train.images import RunImages
from training.train.last_checkpoint import LastCheckpoint
from training.train.processes import accelerator, processes
from training.train.resuming import check_resumable
from training.train.tensorboard import Figures
from training.train.whole_checkpoints import WholeCheckpoints

logger = logging.getLogger(__name__)


def train(config: Config, *, runs: Path, resume: bool = False) -> Path | None:
    """Train as the config says, export the best checkpoint, and return where it is.

    Args:
        config: The run; `config.name` names its folder.
        runs: The folder of all runs.
        resume: Go on from the run's `last.ckpt` instead of starting anew.

    Returns:
        The exported checkpoint; None in the processes of a distributed run other than the first, which end
        well, and say nothing, also where a signal stops the run.

    Raises:
        TrainingError: With the remedy in its message.
    """
    _quiet_lightning()
    accelerator(config)
    folder = RunFolder(runs / config.name)
    if resume:
        check_resumable(folder, config=config)
    splits = load_splits(config)
    lightning.seed_everything(config.seed, workers=True, verbose=False)
    images = RunImages(splits, config=config)
    trainer = _trainer(config, images=images, folder=folder)
    with ExitStack() as claims:
        try:
            with told_in_one_line(folder, config=config):
                _prepare(folder, config=config, resume=resume, claims=claims)
                _say_what_is_trained(config, splits=splits, resumed_from=folder.last if resume else None)
                checkpoint = folder.last if resume else None
                trainer.fit(VAETraining(config), datamodule=images, ckpt_path=checkpoint, weights_only=True)
        except RunStopped:
            if trainer.is_global_zero:
                raise
        if not trainer.is_global_zero:
            return None
        with told_how_to_export(folder):
            exported = export_checkpoint(folder.best(), target=folder.exported, splits=splits)
        _show_what_is_served(folder, seed=config.seed)
        return exported


def _show_what_is_served(folder: RunFolder, *, seed: int) -> None:
    try:
        write_grid(folder.served_samples, served_grid(folder.exported, seed=seed))
    except OSError as error:  # the run is finished and exported all the same
        logger.warning("%s cannot be written: %s", folder.served_samples, error.strerror)
    else:
        logger.info("what it draws: %s", folder.served_samples)


@rank_zero_only
def _prepare(folder: RunFolder, *, config: Config, resume: bool, claims: ExitStack) -> None:
    earlier = None if resume else folder.begin(config)
    claims.enter_context(folder.claimed())
    if resume:
        folder.write_config(config)
    if earlier is not None:
        logger.info("an earlier run is kept as %s", earlier)


@rank_zero_only
def _say_what_is_trained(config: Config, *, splits: ImageSplits, resumed_from: Path | None) -> None:
    shape = "x".join(str(size) for size in config.data.image_shape)
    logger.info(
        "%s %s: images %s, %d for training, %d for validation, %d epochs",
        "going on with" if resumed_from else "training", config.name,
        shape, len(splits.train), len(splits.validation), config.optimizer.epochs,
    )  # fmt: skip
    if len(splits.train) < _images_a_step(config):
        logger.info("a step takes all of them: a batch would be %d", _images_a_step(config))
    if resumed_from:
        logger.info("resumed from %s", resumed_from)


def _quiet_lightning() -> None:
    """Leave only what a person can act on: no tips, no list of devices, no advice on workers."""
    for name in (
        "lightning.pytorch.utilities.rank_zero",
        "lightning.fabric.utilities.rank_zero",
        "lightning.pytorch",
        "lightning.fabric",
    ):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated")
    warnings.filterwarnings("ignore", ".*Checkpoint directory .* exists and is not empty", module="lightning")


def _trainer(config: Config, *, images: RunImages, folder: RunFolder) -> lightning.Trainer:
    return lightning.Trainer(
        accelerator=accelerator(config),
        devices=processes(config).num_devices,
        num_nodes=processes(config).num_nodes,
        precision=_precision(config),
        max_epochs=config.optimizer.epochs,
        callbacks=[
            BestCheckpoints(folder),
            LastCheckpoint(folder, every_seconds=60 * config.machine.save_minutes),
            StepSeeds(config.seed),
            LearningRateOfConfig(config.optimizer.learning_rate),
            LearningRateMonitor("epoch"),
            GridWriter(folder.grids, images=images.validation),
            EpochReport(),
            CollapseWatch(),
            *_averages(config),
            *([RichProgressBar()] if sys.stdout.isatty() else []),
        ],
        plugins=[WholeCheckpoints()],
        # On the CPU PyTorch has no BatchNorm over processes: there each goes by its own images.
        sync_batchnorm=accelerator(config) == "cuda",
        logger=Figures(folder.root, name="tensorboard", version=""),
        num_sanity_val_steps=0,
        log_every_n_steps=min(50, max(1, len(images.splits.train) // _images_a_step(config))),
        enable_model_summary=False,
        enable_progress_bar=sys.stdout.isatty(),
    )


def _images_a_step(config: Config) -> int:
    return config.optimizer.batch_size * processes(config).world_size


def _precision(config: Config) -> Literal["32-true", "bf16-mixed", "16-mixed"]:
    match config.machine.precision:
        case "bfloat16":
            return "bf16-mixed"
        case "float16":
            return "16-mixed"
        case "float32":
            return "32-true"
    has_bfloat16 = accelerator(config) == "cuda" and torch.cuda.is_bf16_supported()
    return "bf16-mixed" if has_bfloat16 else "32-true"


def _averages(config: Config) -> list[lightning.Callback]:
    # The last of the callbacks: those before it see the averaged weights at the end of a validation.
    decay = config.optimizer.ema_decay
    return [] if decay is None else [MovingAverage(decay)]
