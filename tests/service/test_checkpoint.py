"""The file format: what is written can be read, and what is wrong is named."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from service import checkpoint
from service.checkpoint import GOLDEN_FILE, METADATA_FILE
from service.errors import InvalidCheckpoint
from service.metadata import FORMAT_VERSION
from service.scripted import as_vae
from service.settings import SHIPPED_CHECKPOINT
from tests import tiny_vae
from tests.planted import Change, planted, rewritten, scripted


def extra(files: dict[str, bytes], name: str) -> str:
    """The full name of an extra file inside the archive."""
    return next(full for full in files if full.endswith(f"/extra/{name}"))


def with_metadata(**changes: object) -> Change:
    def change(files: dict[str, bytes]) -> None:
        name = extra(files, METADATA_FILE)
        files[name] = json.dumps({**json.loads(files[name]), **changes}).encode()

    return change


def with_golden(**changes: Callable[[np.ndarray], np.ndarray]) -> Change:
    def change(files: dict[str, bytes]) -> None:
        name = extra(files, GOLDEN_FILE)
        with np.load(io.BytesIO(files[name])) as arrays:
            values = {key: changes.get(key, lambda array: array)(arrays[key]) for key in arrays.files}
        buffer = io.BytesIO()
        np.savez(buffer, **values)
        files[name] = buffer.getvalue()

    return change


def without(name: str) -> Change:
    def change(files: dict[str, bytes]) -> None:
        del files[extra(files, name)]

    return change


def with_content(name: str, content: bytes) -> Change:
    def change(files: dict[str, bytes]) -> None:
        files[extra(files, name)] = content

    return change


def first_changed(array: np.ndarray) -> np.ndarray:
    """Three levels, or 0.1, more in one place, without overflow."""
    changed = array.copy()
    changed.flat[0] = (int(changed.flat[0]) + 128) % 256 if array.dtype == np.uint8 else changed.flat[0] + 0.1
    return changed


def test_what_is_saved_is_loaded(tiny_checkpoint: Path) -> None:
    loaded = checkpoint.load(tiny_checkpoint)
    content = tiny_checkpoint.read_bytes()
    assert loaded.metadata == tiny_vae.metadata()
    assert loaded.sha256 == hashlib.sha256(content).hexdigest()
    assert loaded.num_bytes == len(content)


def test_a_loaded_module_encodes_and_decodes_as_computed_by_hand(tiny_checkpoint: Path) -> None:
    module = as_vae(checkpoint.load(tiny_checkpoint).module)
    z = np.array([[0, 1, -1, 0.5], [4, -4, 0.25, 2]], np.float32)
    with torch.inference_mode():
        images = module.decode(torch.from_numpy(z))
        mu, log_var = module.encode(images)
    np.testing.assert_array_equal(images.permute(0, 2, 3, 1).numpy(), tiny_vae.decoded(z))
    np.testing.assert_allclose(mu.numpy(), tiny_vae.encoded_mu(images.permute(0, 2, 3, 1).numpy()))
    np.testing.assert_array_equal(log_var.numpy(), [tiny_vae.LOG_VAR] * 2)


def test_golden_values_are_those_of_the_formula(tiny_checkpoint: Path) -> None:
    golden = checkpoint.load(tiny_checkpoint).golden
    images = golden.images.transpose(0, 2, 3, 1)
    assert len(golden.z) >= 8
    np.testing.assert_array_equal(images, tiny_vae.decoded(golden.z))
    np.testing.assert_allclose(golden.mu, tiny_vae.encoded_mu(images), atol=1e-6)


def test_the_same_module_and_metadata_give_the_same_golden_values(tmp_path: Path) -> None:
    first, second = (checkpoint.load(tiny_vae.save(tmp_path / name)) for name in ("a.pt", "b.pt"))
    for field in ("z", "images", "mu", "log_var"):
        np.testing.assert_array_equal(getattr(first.golden, field), getattr(second.golden, field))


def test_a_checkpoint_replaces_an_older_one_and_leaves_nothing_else(tmp_path: Path) -> None:
    tiny_vae.save(tmp_path / "model.pt")
    tiny_vae.save(tmp_path / "model.pt", name="newer")
    assert checkpoint.load(tmp_path / "model.pt").metadata.name == "newer"
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt"]


@pytest.mark.parametrize("path", ["tiny", "shipped"])
def test_no_path_of_the_machine_that_wrote_it_is_inside(path: str, tiny_checkpoint: Path) -> None:
    file = tiny_checkpoint if path == "tiny" else SHIPPED_CHECKPOINT
    traces = [b".py", b"site-packages", b"/home/", b"/root/", b"/tmp/", b"Users"]
    with zipfile.ZipFile(file) as archive:
        for name in archive.namelist():
            text = name.encode() + b"\n" + (b"" if "/data/" in name else archive.read(name))
            # The name of a file in the archive is not a path of the machine: code/__torch__/....py
            text = text.replace(b"code/__torch__", b"").replace(b".py\n", b"\n", 1)
            for trace in traces:
                assert trace not in text, f"{trace!r} in {name}"


def test_the_shipped_checkpoint_is_small_and_says_where_it_comes_from() -> None:
    loaded = checkpoint.load(SHIPPED_CHECKPOINT)
    assert loaded.num_bytes <= 6 * 1024**2
    assert loaded.metadata.provenance.dataset_license is not None
    assert loaded.metadata.provenance.command.startswith("python -m training train ")


def test_a_right_sha256_is_taken_in_either_case(tiny_checkpoint: Path) -> None:
    digest = hashlib.sha256(tiny_checkpoint.read_bytes()).hexdigest()
    assert checkpoint.load(tiny_checkpoint, allowed_sha256=[digest.upper()]).sha256 == digest


def test_one_right_sha256_of_several_is_enough(tiny_checkpoint: Path) -> None:
    digest = hashlib.sha256(tiny_checkpoint.read_bytes()).hexdigest()
    assert checkpoint.load(tiny_checkpoint, allowed_sha256=["0" * 64, digest]).sha256 == digest


def test_a_wrong_sha256_is_named_before_anything_of_the_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "model.pt"
    file.write_bytes(b"no archive")
    with pytest.raises(InvalidCheckpoint) as caught:
        checkpoint.load(file, allowed_sha256=["0" * 64])
    assert caught.value.field == "sha256"


def test_a_wrong_sha256_is_named_with_both_digests(tiny_checkpoint: Path) -> None:
    digest = hashlib.sha256(tiny_checkpoint.read_bytes()).hexdigest()
    with pytest.raises(InvalidCheckpoint) as caught:
        checkpoint.load(tiny_checkpoint, allowed_sha256=["0" * 64])
    assert caught.value.field == "sha256"
    assert digest in caught.value.problem
    assert "0" * 64 in caught.value.problem


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidCheckpoint, match=r"nowhere\.pt does not exist") as caught:
        checkpoint.load(tmp_path / "nowhere.pt")
    assert caught.value.field == "file"


def test_a_folder_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(InvalidCheckpoint, match="cannot be read") as caught:
        checkpoint.load(tmp_path)
    assert caught.value.field == "file"


@pytest.mark.parametrize("content", [b"", b"a text\n", b"PK\x03\x04"], ids=["empty", "text", "only a start"])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "model.pt"
    file.write_bytes(content)
    with pytest.raises(InvalidCheckpoint, match="not a TorchScript archive") as caught:
        checkpoint.load(file)
    assert caught.value.field == "file"


@pytest.mark.parametrize("share", [0.2, 0.5, 0.99])
def test_a_truncated_checkpoint_is_refused(tiny_checkpoint: Path, tmp_path: Path, share: float) -> None:
    content = tiny_checkpoint.read_bytes()
    file = tmp_path / "model.pt"
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InvalidCheckpoint, match="truncated"):
        checkpoint.load(file)


@pytest.mark.parametrize("name", [METADATA_FILE, GOLDEN_FILE])
def test_a_missing_part_is_named_with_the_command_that_writes_it(
    tiny_checkpoint: Path, tmp_path: Path, name: str
) -> None:
    file = rewritten(tiny_checkpoint, tmp_path / "model.pt", without(name))
    with pytest.raises(InvalidCheckpoint, match="python -m training export") as caught:
        checkpoint.load(file)
    assert caught.value.field == name


def test_an_archive_without_torchscript_is_refused(tiny_checkpoint: Path, tmp_path: Path) -> None:
    def only_extra(files: dict[str, bytes]) -> None:
        for name in [name for name in files if "/extra/" not in name]:
            del files[name]

    file = rewritten(tiny_checkpoint, tmp_path / "model.pt", only_extra)
    with pytest.raises(InvalidCheckpoint, match="holds no loadable TorchScript") as caught:
        checkpoint.load(file)
    assert caught.value.field == "module"


def test_a_newer_format_is_refused_whatever_its_fields_are(tiny_checkpoint: Path, tmp_path: Path) -> None:
    newer = with_metadata(format_version=FORMAT_VERSION + 1, field_of_tomorrow=1, name=["not", "a", "name"])
    file = rewritten(tiny_checkpoint, tmp_path / "model.pt", newer)
    with pytest.raises(InvalidCheckpoint, match="newer than this service reads") as caught:
        checkpoint.load(file)
    assert caught.value.field == "metadata.format_version"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"latent_dim": 0}, "metadata.latent_dim"),
        ({"latent_dim": "four"}, "metadata.latent_dim"),
        ({"name": "no spaces here"}, "metadata.name"),
        ({"image_shape": [3, 8]}, "metadata.image_shape.2"),
        ({"image_shape": [3, 8, -8]}, "metadata.image_shape.2"),
        ({"likelihood": "poisson"}, "metadata.likelihood"),
        ({"preprocessing": {"crop": "round"}}, "metadata.preprocessing.crop"),
        ({"unknown": 1}, "metadata.unknown"),
        ({"format_version": None}, "metadata.format_version"),
        ({"quality": {"elbo": "good"}}, "metadata.quality.elbo"),
    ],
)
def test_a_wrong_field_of_the_metadata_is_named(
    tiny_checkpoint: Path, tmp_path: Path, changes: dict[str, object], field: str
) -> None:
    file = rewritten(tiny_checkpoint, tmp_path / "model.pt", with_metadata(**changes))
    with pytest.raises(InvalidCheckpoint) as caught:
        checkpoint.load(file)
    assert caught.value.field.startswith(field)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"format_version": 1, "a": ' + b"[" * 100_000],
)
def test_metadata_that_is_no_json_object_is_refused(
    tiny_checkpoint: Path, tmp_path: Path, content: bytes
) -> None:
    file = rewritten(tiny_checkpoint, tmp_path / "model.pt", with_content(METADATA_FILE, content))
    with pytest.raises(InvalidCheckpoint) as caught:
        checkpoint.load(file)
    assert caught.value.field.startswith("metadata")


def test_metadata_of_more_than_a_mebibyte_is_refused(tiny_checkpoint: Path, tmp_path: Path) -> None:
    large = with_metadata(architecture="x" * 2**20)
    with pytest.raises(InvalidCheckpoint, match="larger than 1048576 bytes") as caught:
        checkpoint.load(rewritten(tiny_checkpoint, tmp_path / "model.pt", large))
    assert caught.value.field == METADATA_FILE


@pytest.mark.parametrize("content", [b"", b"no arrays", b"PK\x05\x06" + bytes(18)])
def test_golden_values_that_are_no_arrays_are_refused(
    tiny_checkpoint: Path, tmp_path: Path, content: bytes
) -> None:
    file = rewritten(tiny_checkpoint, tmp_path / "model.pt", with_content(GOLDEN_FILE, content))
    with pytest.raises(InvalidCheckpoint) as caught:
        checkpoint.load(file)
    assert caught.value.field == GOLDEN_FILE


@pytest.mark.parametrize("field", ["images", "mu", "log_var"])
def test_golden_values_that_the_module_does_not_give_are_refused(
    tiny_checkpoint: Path, tmp_path: Path, field: str
) -> None:
    file = rewritten(tiny_checkpoint, tmp_path / "model.pt", with_golden(**{field: first_changed}))
    with pytest.raises(InvalidCheckpoint, match="pixels" if field == "images" else field) as caught:
        checkpoint.load(file)
    assert caught.value.field == "golden"


@pytest.mark.parametrize("field", ["z", "mu", "log_var"])
def test_golden_values_that_are_not_a_number_are_refused(
    tiny_checkpoint: Path, tmp_path: Path, field: str
) -> None:
    broken = with_golden(**{field: lambda array: np.full_like(array, np.nan)})
    with pytest.raises(InvalidCheckpoint, match=f"{field}.npy has values that are not finite"):
        checkpoint.load(rewritten(tiny_checkpoint, tmp_path / "model.pt", broken))


@pytest.mark.parametrize("field", ["z", "images", "mu", "log_var"])
@pytest.mark.parametrize(
    "change",
    [lambda array: array[..., :-1], lambda array: array.astype(np.float64), lambda array: array[:0]],
    ids=["shape", "dtype", "no rows"],
)
def test_golden_values_of_another_form_than_the_metadata_says_are_refused(
    tiny_checkpoint: Path, tmp_path: Path, field: str, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    file = rewritten(tiny_checkpoint, tmp_path / "model.pt", with_golden(**{field: change}))
    with pytest.raises(InvalidCheckpoint) as caught:
        checkpoint.load(file)
    assert caught.value.field.startswith("golden.")


class _OtherLatents(nn.Module):
    """Takes five latents where the metadata say four."""

    @torch.jit.export
    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        mu = images.flatten(1)[:, :5].float()
        return mu, mu

    @torch.jit.export
    def decode(self, z: Tensor) -> Tensor:
        return (z @ torch.zeros(5, 192)).to(torch.uint8).view(-1, 3, 8, 8)


class _OnlyDecodes(nn.Module):
    @torch.jit.export
    def decode(self, z: Tensor) -> Tensor:
        return torch.zeros(z.size(0), 3, 8, 8, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("module", "field"), [(_OtherLatents(), "module"), (_OnlyDecodes(), "module.encode")], ids=["5", "decode"]
)
def test_a_module_that_breaks_the_contract_is_refused(
    tiny_checkpoint: Path, tmp_path: Path, module: nn.Module, field: str
) -> None:
    file = planted(tiny_checkpoint, tmp_path / "model.pt", scripted(module))
    with pytest.raises(InvalidCheckpoint) as caught:
        checkpoint.load(file)
    assert caught.value.field == field


def test_metadata_cannot_be_changed() -> None:
    metadata = tiny_vae.metadata()
    with pytest.raises(ValueError, match="frozen"):
        metadata.latent_dim = 5
