"""The commands: what works, and one line with exit status 3 for what cannot."""

import hashlib
import json
import logging
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from service import checkpoint
from service.__main__ import main
from service.command_line import python
from service.commands import files
from service.commands.serving import EXIT_CONFIGURATION
from service.errors import InvalidCheckpoint
from service.settings import SHIPPED_CHECKPOINT, Settings
from tests import foreign_vaes, planted, tiny_vae


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """`serve` sends this process's log to what is standard error meanwhile."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers, root.level = handlers, level


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def fail(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that must fail; the one line that it says."""
    assert main(list(arguments)) == EXIT_CONFIGURATION
    output = capsys.readouterr()
    lines = output.err.splitlines()
    assert output.out == ""
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    return lines[0]


def test_the_exit_status_of_a_wrong_configuration_is_3() -> None:
    assert EXIT_CONFIGURATION == 3


def test_a_taken_port_is_named_with_the_flag_that_chooses_another(
    capsys: pytest.CaptureFixture[str], taken_port: int
) -> None:
    line = fail(capsys, "serve", "--port", str(taken_port))
    assert str(taken_port) in line
    assert "--port" in line


@pytest.mark.parametrize("command", ["serve", "openapi"])
@pytest.mark.parametrize(
    ("flag", "value"),
    [("--max-images", "many"), ("--port", "99999"), ("--device", "gpu"), ("--precision", "7")],
)
def test_a_bad_setting_is_named_as_variable_and_as_flag(
    capsys: pytest.CaptureFixture[str], command: str, flag: str, value: str
) -> None:
    line = fail(capsys, command, flag, value)
    assert flag in line
    assert f"VAE_{flag[2:].replace('-', '_').upper()}" in line
    assert repr(value) in line


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("port", "high", "must be a whole number, got 'high'"),
        ("port", "99999", "must be less than or equal to 65535, got '99999'"),
        ("drain_seconds", "long", "must be a number, got 'long'"),
        ("log_format", "xml", "must be 'auto', 'json' or 'text', got 'xml'"),
        ("device", "gpu", "must be auto, cpu, cuda or cuda:N, got 'gpu'"),
        (
            "port",
            "tcp://10.0.0.7:80",
            "must be a whole number, got 'tcp://10.0.0.7:80'; Kubernetes sets it for a Service named vae:"
            " give the pod enableServiceLinks: false",
        ),
    ],
)
def test_what_is_wrong_with_a_setting_is_said_in_plain_words(
    capsys: pytest.CaptureFixture[str], name: str, value: str, problem: str
) -> None:
    line = fail(capsys, "serve", f"--{name.replace('_', '-')}", value)
    assert line.endswith(f") {problem}")


def test_a_bad_variable_is_named(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAE_PNG_COMPRESSION", "9")
    assert "VAE_PNG_COMPRESSION" in fail(capsys, "openapi")


def test_keys_that_cannot_be_used_are_one_line_without_the_keys(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAE_API_KEYS", "se cret")
    line = fail(capsys, "openapi")
    assert "VAE_API_KEYS" in line
    assert "se cret" not in line


def test_help_shows_no_key(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAE_API_KEYS", "secret")
    with pytest.raises(SystemExit):
        main(["serve", "--help"])
    assert "secret" not in capsys.readouterr().out


def test_a_missing_checkpoint_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    missing = str(tmp_path / "nowhere.pt")
    for arguments in (["serve", "--port", "0", "--checkpoint", missing], ["inspect", missing]):
        assert f"cannot be used: {missing} does not exist" in fail(capsys, *arguments)


@pytest.mark.parametrize("command", ["serve", "inspect", "adopt"])
def test_weights_alone_are_one_line_that_says_what_is_needed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str
) -> None:
    path = tmp_path / "weights.pt"
    torch.save(tiny_vae.TinyVAE().state_dict(), path)
    arguments = {
        "serve": ["--port", "0", "--checkpoint", str(path)],
        "inspect": [str(path)],
        "adopt": [str(path), "--to", str(tmp_path / "model.pt")],
    }
    assert "`torch.jit.script(model).save(FILE)` writes" in fail(capsys, command, *arguments[command])


def test_the_file_of_a_folder_that_cannot_be_used_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, tiny_checkpoint: Path
) -> None:
    shutil.copy(tiny_checkpoint, tmp_path / "a.pt")
    (tmp_path / "b.pt").write_text("no archive")
    line = fail(capsys, "serve", "--port", "0", "--checkpoint", str(tmp_path), "--log-level", "error")
    assert f"the checkpoint {tmp_path / 'b.pt'} cannot be used: not a TorchScript archive" in line


def test_a_missing_file_of_keys_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    missing = str(tmp_path / "nowhere")
    assert missing in fail(capsys, "serve", "--port", "0", "--api-keys-file", missing)


def test_a_checkpoint_of_another_sha256_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    line = fail(capsys, "serve", "--port", "0", "--checkpoint-sha256", f"{64 * '0'},{64 * 'a'}")
    assert "sha256" in line
    assert hashlib.sha256(SHIPPED_CHECKPOINT.read_bytes()).hexdigest() in line


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert "cuda" in fail(capsys, "serve", "--port", "0", "--device", "cuda")


def test_a_folder_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "nowhere" in fail(capsys, "openapi", "--output", str(tmp_path / "nowhere" / "openapi.json"))


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        ([], "vae-service"),
        (["fly"], "vae-service"),
        (["serve", "--no-such-flag", "1"], "vae-service"),
        (["inspect"], "vae-service inspect"),
        (["adopt", "vae.pt"], "vae-service adopt"),
        (["adopt", "vae.pt", "--to", "model.pt", "--image-shape", "3", "64"], "vae-service adopt"),
    ],
)
def test_what_is_no_command_is_one_line_that_says_where_to_read_on(
    capsys: pytest.CaptureFixture[str], arguments: list[str], command: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert line.endswith(f"`{command} --help` has examples")


def test_debug_shows_where_an_error_comes_from(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(InvalidCheckpoint):
        main(["inspect", str(tmp_path / "nowhere.pt"), "--debug"])


def test_an_interrupted_command_says_so_and_nothing_else(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tiny_checkpoint: Path
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "describe", interrupted)
    assert main(["inspect", str(tiny_checkpoint)]) == 130
    assert capsys.readouterr().err == "stopped\n"


def test_help_names_every_setting_with_its_variable(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["serve", "--help"])
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for name in Settings.model_fields:
        assert f"--{name.replace('_', '-')}" in text
        assert f"VAE_{name.upper()}" in text


def test_inspect_prints_the_metadata_as_json(
    capsys: pytest.CaptureFixture[str], tiny_checkpoint: Path
) -> None:
    assert main(["inspect", str(tiny_checkpoint)]) == 0
    printed = capsys.readouterr().out
    shown = json.loads(printed)
    assert '\n  "image_shape": [3, 8, 8],\n' in printed  # numbers on one line, as people write them
    assert shown["name"] == tiny_vae.NAME
    assert shown["image_shape"] == [3, 8, 8]
    assert shown["bytes"] == tiny_checkpoint.stat().st_size
    assert len(shown["sha256"]) == 64
    assert shown["parameters"] == 4 * 192 + 64 * 4
    assert shown["weight_bytes"] == 4 * (4 * 192 + 64 * 4 + 4)
    assert shown["methods"] == [
        "decode(Tensor z) -> Tensor",
        "encode(Tensor images) -> Tuple[Tensor, Tensor]",
    ]
    assert shown["operators"]["aten::matmul"] == "allowed"
    assert set(shown["operators"].values()) == {"allowed"}


def test_inspect_shows_the_operators_for_which_a_checkpoint_would_be_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    sentinel = tmp_path / "sentinel"
    module = planted.scripted(planted.InDecode(sentinel))
    path = str(planted.planted(tiny_checkpoint, tmp_path / "model.pt", module))
    assert main(["inspect", path]) == EXIT_CONFIGURATION
    output = capsys.readouterr()
    assert json.loads(output.out)["operators"]["aten::from_file"] == "refused"
    assert output.err.startswith(
        "error: the checkpoint cannot be used: module.decode: uses aten::from_file, which a checkpoint may"
    )
    assert len(output.err.splitlines()) == 1
    assert fail(capsys, "serve", "--port", "0", "--checkpoint", path) == output.err.rstrip()
    assert main(["inspect", path, "--allowed-operators", "aten::from_file"]) == 0
    monkeypatch.setenv("VAE_ALLOWED_OPERATORS", "aten::from_file")
    assert main(["inspect", path]) == 0
    assert not sentinel.exists()


def test_inspect_shows_what_another_torchscript_file_lacks_without_running_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    sentinel = tmp_path / "sentinel"
    for module in (planted.Honest(sentinel), planted.InDecode(sentinel)):
        path = foreign_vaes.write(planted.scripted(module), tmp_path / "vae.pt")
        assert main(["inspect", str(path)]) == EXIT_CONFIGURATION
        output = capsys.readouterr()
        shown = json.loads(output.out)
        assert shown["lacks"] == ["metadata.json", "golden.npz"]
        assert "name" not in shown
        words = "aten::from_file" if isinstance(module, planted.InDecode) else "python -m service adopt"
        assert words in output.err
    path = foreign_vaes.write(foreign_vaes.scripted(foreign_vaes.NameVAE()), tmp_path / "vae.pt")
    assert main(["inspect", str(path)]) == EXIT_CONFIGURATION
    lacks = json.loads(capsys.readouterr().out)["lacks"]
    assert [line.partition(":")[0] for line in lacks[2:]] == ["module.encode", "module.decode"]
    assert not sentinel.exists()


def test_adopt_says_what_it_found_and_how_to_serve_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    source = foreign_vaes.write(foreign_vaes.scripted(foreign_vaes.RowVAE()), tmp_path / "vae.pt")
    target = tmp_path / "model.pt"
    flags = ["--image-shape", "1", "28", "28", "--pixel-range", "0", "1", "--crop", "20"]
    assert main(["adopt", str(source), "--to", str(target), *flags]) == 0
    said = capsys.readouterr().out
    assert said.endswith(
        f"holds the model vae. Serve it:\n  {python()} -m service serve --checkpoint {target}\n"
    )
    assert main(["adopt", str(source), "--to", str(target), *flags]) == 0
    assert "the model vae, in the place of the file that was there." in capsys.readouterr().out
    metadata = checkpoint.load(target).metadata
    assert metadata.image_shape == (1, 28, 28)
    assert metadata.preprocessing.crop == 20


def test_what_adopt_cannot_find_out_is_one_line_that_names_the_flag(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    source = foreign_vaes.write(foreign_vaes.scripted(foreign_vaes.RowVAE()), tmp_path / "vae.pt")
    assert "--image-shape C H W" in fail(capsys, "adopt", str(source), "--to", str(tmp_path / "model.pt"))
    nowhere = str(tmp_path / "nowhere.pt")
    assert nowhere in fail(capsys, "adopt", nowhere, "--to", str(tmp_path / "model.pt"))


def test_adopt_says_where_it_cannot_write(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    source = foreign_vaes.write(foreign_vaes.scripted(foreign_vaes.ConvVAE()), tmp_path / "vae.pt")
    target = tmp_path / "nowhere" / "model.pt"
    assert main(["adopt", str(source), "--to", str(target)]) == EXIT_CONFIGURATION
    assert str(target.parent) in capsys.readouterr().err


def test_openapi_is_written_to_a_file_or_to_standard_output(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, tiny_checkpoint: Path
) -> None:
    output = tmp_path / "openapi.json"
    flags = ["--checkpoint", str(tiny_checkpoint), "--device", "cpu"]
    assert main(["openapi", *flags, "--output", str(output)]) == 0
    assert main(["openapi", *flags]) == 0
    assert capsys.readouterr().out == output.read_text()
    assert json.loads(output.read_text())["openapi"].startswith("3.")


def test_a_flag_wins_over_its_variable(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAE_MAX_IMAGES", "7")
    maxima = []
    for flags in ([], ["--max-images", "9"]):
        assert main(["openapi", "--checkpoint", str(SHIPPED_CHECKPOINT), "--device", "cpu", *flags]) == 0
        document = json.loads(capsys.readouterr().out)
        maxima.append(document["components"]["schemas"]["SampleRequest"]["properties"]["n"]["maximum"])
    assert maxima == [7, 9]
