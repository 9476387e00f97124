"""What is evaluated: an exported checkpoint, a run folder or a Lightning checkpoint, opened."""

import dataclasses
import hashlib
import zipfile
from pathlib import Path

import torch
from pydantic import ValidationError

from service.checkpoint import METADATA_FILE, load
from service.errors import InvalidCheckpoint
from service.metadata import Metadata
from training.config import DataConfig
from training.data import load_splits
from training.errors import EvaluationError, NotComputable
from training.evaluate.autoencoder import Autoencoder, ExportedAutoencoder, TrainedAutoencoder
from training.evaluate.likelihood import likelihood_from
from training.evaluate.prior import Prior
from training.export import load_trained, stored_config
from training.likelihoods import Likelihood
from training.run_folder import RunFolder


@dataclasses.dataclass(frozen=True)
class Subject:
    """A network with all that its figures depend on.

    Attributes:
        path: The file.
        digest: sha256 of the file's content, less the metadata, which an evaluation changes.
        autoencoder: The network.
        likelihood_name: As a config names it.
        likelihood: What its images are scored with, or the reason why they cannot be.
        is_point: Its posterior is a point: an autoencoder, without rate, bound or prior of its own.
        priors: What can be drawn from, by name.
        image_shape: C, H, W.
        data: What it was trained on; the root may be unknown.
        seed: Of the run, which parted its images.
        metadata: Of an exported checkpoint.
    """

    path: Path
    digest: str
    autoencoder: Autoencoder
    likelihood_name: str
    likelihood: Likelihood | NotComputable
    is_point: bool
    priors: dict[str, Prior]
    image_shape: tuple[int, int, int]
    data: DataConfig
    seed: int
    metadata: Metadata | None

    @property
    def validation_fingerprint(self) -> int | None:
        """Of the run's validation images, if an exported checkpoint tells it."""
        return None if self.metadata is None else self.metadata.provenance.validation_fingerprint


def open_subject(path: Path, *, root: Path | None, device: torch.device) -> Subject:
    """Open an exported checkpoint, the one of a run folder, or a Lightning checkpoint (`.ckpt`).

    Args:
        path: The file or folder.
        root: The folder of the data set, where it is not what the run's config says.
        device: Where to compute.

    Raises:
        EvaluationError: It is none of these.
        TrainingError: A Lightning checkpoint that is not of this project, or whose images are not there.
    """
    exported = RunFolder(path).exported if path.is_dir() else path
    if path.is_dir() and not exported.is_file():
        raise EvaluationError(f"{path} holds no {exported.name}: export the run, or name a .ckpt file of it")
    if path.suffix == ".ckpt":
        return _open_trained(path, root=root, device=device)
    return _open_exported(exported, root=root, device=device)


def _open_exported(path: Path, *, root: Path | None, device: torch.device) -> Subject:
    try:
        checkpoint = load(path)
    except InvalidCheckpoint as error:
        raise EvaluationError(f"{path} is no checkpoint that can be evaluated: {error}") from None
    metadata = checkpoint.metadata
    autoencoder = ExportedAutoencoder(checkpoint.module.to(device))
    config = metadata.provenance.config
    try:
        data = DataConfig.model_validate(config.get("data"))
        seed = int(str(config["seed"]))
    except (ValidationError, KeyError, ValueError):
        raise EvaluationError(
            f"{path} does not say in metadata.provenance.config what data it was trained on: it can only be "
            "evaluated if `python -m training export` wrote it"
        ) from None
    if metadata.likelihood is None:
        raise EvaluationError(f"{path} does not say in metadata.likelihood what it was trained with")
    priors = {"standard": Prior(metadata.latent_dim)}
    if checkpoint.prior is not None:
        priors["fitted"] = Prior(metadata.latent_dim, checkpoint.prior)
    return Subject(
        path=path,
        digest=_digest(path),
        autoencoder=autoencoder,
        likelihood_name=metadata.likelihood,
        likelihood=_likelihood(metadata, has_logits=autoencoder.has_logits, device=device),
        is_point=is_autoencoder(metadata),
        priors=priors,
        image_shape=metadata.image_shape,
        data=_with_root(data, root or RunFolder(path.parent).data_root()),
        seed=seed,
        metadata=metadata,
    )


def _open_trained(path: Path, *, root: Path | None, device: torch.device) -> Subject:
    config = stored_config(path)
    data = _with_root(config.data, root)
    config = config.model_copy(update={"data": data})
    training = load_trained(path, splits=load_splits(config))[0].to(device)
    return Subject(
        path=path,
        digest=hashlib.sha256(path.read_bytes()).hexdigest(),
        autoencoder=TrainedAutoencoder(training),
        likelihood_name=config.loss.likelihood,
        likelihood=training.likelihood.eval(),
        is_point=training.is_autoencoder,
        priors={"standard": Prior(config.model.latent_dim)},
        image_shape=data.image_shape,
        data=data,
        seed=config.seed,
        metadata=None,
    )


def is_autoencoder(metadata: Metadata) -> bool:
    """Whether it was trained without a prior, so that there is no KL divergence."""
    loss = metadata.provenance.config.get("loss")
    return isinstance(loss, dict) and loss.get("objective") == "autoencoder"


def _likelihood(metadata: Metadata, *, has_logits: bool, device: torch.device) -> Likelihood | NotComputable:
    try:
        return likelihood_from(metadata, has_logits=has_logits).to(device).eval()
    except NotComputable as reason:
        return reason


def _with_root(data: DataConfig, root: Path | None) -> DataConfig:
    return data if root is None else data.model_copy(update={"root": root})


def _digest(path: Path) -> str:
    """sha256 over the names and contents of an archive's parts but the metadata."""
    digest = hashlib.sha256()
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            if not name.endswith(f"/{METADATA_FILE}"):
                digest.update(name.encode() + archive.read(name))
    return digest.hexdigest()
