import re
from pathlib import Path

import pytest
import torch

from service.checkpoint import load, replace_metadata
from tests import tiny_vae
from training.config import Config
from training.data import load_splits
from training.data.batches import validation_images
from training.errors import EvaluationError, ExportError, NotComputable
from training.evaluate.autoencoder import decoded
from training.evaluate.subject import Subject, open_subject
from training.run_folder import RunFolder

CPU = torch.device("cpu")


def opened(path: Path, root: Path | None = None) -> Subject:
    return open_subject(path, root=root, device=CPU)


def test_the_exported_and_the_trained_network_are_the_same_function(run: Path, tiny_config: Config) -> None:
    images = validation_images(load_splits(tiny_config), config=tiny_config)
    exported, trained = opened(run), opened(RunFolder(run).best())
    with torch.no_grad():
        for first, second in zip(
            exported.autoencoder.encode(images), trained.autoencoder.encode(images), strict=True
        ):
            torch.testing.assert_close(first, second, atol=1e-3, rtol=1e-3)
        z = trained.autoencoder.encode(images)[0]
        levels = [decoded(subject.autoencoder, z).int() for subject in (exported, trained)]
    assert int((levels[0] - levels[1]).abs().max()) <= 1


def test_both_say_what_they_were_trained_on_and_how_they_score(run: Path, tiny_config: Config) -> None:
    exported, trained = opened(run / "model.pt"), opened(RunFolder(run).best())
    for subject in (exported, trained):
        assert subject.data == tiny_config.data
        assert subject.seed == tiny_config.seed
        assert subject.image_shape == (3, 16, 16)
        assert not subject.is_point
        assert not isinstance(subject.likelihood, NotComputable)
        assert subject.likelihood.scale() == pytest.approx(0.25)
    assert list(exported.priors) == ["standard", "fitted"]
    assert list(trained.priors) == ["standard"]
    assert exported.metadata is not None
    assert trained.metadata is None


def test_the_folder_of_the_data_comes_from_the_run_or_from_the_caller(run: Path, tmp_path: Path) -> None:
    path = run / "config.yaml"
    path.write_text(path.read_text().replace("root: null", f"root: {tmp_path}"))
    assert opened(run).data.root == tmp_path
    assert opened(run, tmp_path / "elsewhere").data.root == tmp_path / "elsewhere"
    path.unlink()
    assert opened(run).data.root is None


def test_the_digest_does_not_change_with_the_metadata_but_with_the_weights(run: Path) -> None:
    path = run / "model.pt"
    before, metadata = opened(path).digest, load(path).metadata
    replace_metadata(path, metadata.model_copy(update={"quality": {"elbo": 1.0}}))
    assert opened(path).digest == before
    assert opened(RunFolder(run).best()).digest != before


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("some.pt", b"text", "some.pt is no checkpoint that can be evaluated: "),
        ("nowhere.pt", None, "nowhere.pt is no checkpoint that can be evaluated: .*does not exist"),
        (".", None, "holds no model.pt: export the run, or name a .ckpt file of it"),
    ],
)
def test_what_is_no_checkpoint_is_named(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(EvaluationError, match=message):
        opened(tmp_path / name)


def test_a_lightning_checkpoint_of_another_program_is_named(tmp_path: Path) -> None:
    torch.save({"state_dict": {}}, tmp_path / "other.ckpt")
    with pytest.raises(ExportError, match=re.escape("other.ckpt is no checkpoint of a training run")):
        opened(tmp_path / "other.ckpt")


def test_a_checkpoint_that_does_not_say_what_it_was_trained_on_is_refused(tmp_path: Path) -> None:
    path = tiny_vae.save(tmp_path / "tiny.pt")
    with pytest.raises(EvaluationError, match=r"tiny\.pt does not say in metadata\.provenance\.config"):
        opened(path)
