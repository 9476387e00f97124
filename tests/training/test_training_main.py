from pathlib import Path

import pytest

from service.checkpoint import load
from training.commands import main

TINY = ["--set", "data.image_shape=[3,16,16]", "--set", "model.hidden_channels=[4,8]"]
TINY += ["--limit", "32", "--latent", "2", "--epochs", "1", "--batch-size", "16", "--device", "cpu"]


def test_train_trains_exports_and_prints_the_command_that_serves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "--runs", str(tmp_path), *TINY]) == 0
    exported = tmp_path / "sprites/model.pt"
    assert f"VAE_CHECKPOINT={exported} make serve" in capsys.readouterr().out
    assert load(exported).metadata.latent_dim == 2

    assert main(["export", str(tmp_path / "sprites"), "--to", str(tmp_path / "again.pt")]) == 0
    assert load(tmp_path / "again.pt").metadata.quality == load(exported).metadata.quality

    assert main(["train", "--resume", str(tmp_path / "sprites"), "--epochs", "2", "--device", "cpu"]) == 0
    assert load(exported).metadata.provenance.steps > load(tmp_path / "again.pt").metadata.provenance.steps


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--preset", "sprite"], "there is no preset 'sprite'; did you mean 'sprites'?"),
        (["train", "--set", "optimizer.lr=1"], "no key 'optimizer.lr'"),
        (["train", "--set", "epochs"], "--set takes key=value, not 'epochs'"),
        (["train", "--data", "nowhere"], "the data folder nowhere does not exist"),
        (["train", "--preset", "mnist"], "needs its folder: add --data DIR"),
        (["train", "--resume"], "nothing to resume"),
        (["train", "--resume", "--latent", "3"], "model.latent_dim cannot be changed in a resumed run"),
        (["train", "--epochs", "x"], "optimizer.epochs"),
        (["train", "--set", "optimizer.epochs=["], "'[' is no value that YAML knows"),
        (["train", "--set", "model.architecture=vanila"], "model.architecture: Input should be 'vanilla'"),
        (
            ["train", "--set", "loss.scale=big"],
            "loss.scale: Input should be a valid number, unable to parse string as a number, or: "
            "Input should be 'optimal' or 'learned'",
        ),
        (
            ["train", "--set", "data.preprocessing.crop=sqare"],
            "data.preprocessing.crop: Input should be 'none'",
        ),
        (["train", "--data", "/proc/version"], "the data folder /proc/version is a file, not a folder"),
        (["export", "nowhere.ckpt"], "nowhere.ckpt cannot be read"),
        (["export", "."], "holds no finished epoch"),
        (["report", "nowhere"], "nowhere does not exist; a run is a folder in runs/"),
        (["report", "."], "is no run: neither model.pt nor checkpoints/ is in it"),
    ],
)
def test_an_error_is_one_line_with_the_remedy(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    printed = capsys.readouterr().err.strip()
    assert message in printed
    assert printed.count("\n") == 0


def test_continue_starts_a_run_and_goes_on_with_it_when_it_is_started_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "--continue", "--runs", str(tmp_path), *TINY]
    assert main(command) == 0
    assert "going on" not in capsys.readouterr().err
    assert main(command) == 0
    assert "going on with sprites" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["sprites"]
    assert main([*command, "--latent", "3"]) == 1
    assert "was trained with model.latent_dim = 2, not 3" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["train", "export", "evaluate", "report"])
def test_help_teaches_with_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main([command, "--help"])
    assert exit_.value.code == 0
    assert f"python -m training {command}" in capsys.readouterr().out.split("examples:")[1]


@pytest.mark.parametrize("arguments", [[], ["trian"], ["train", "--epoch"], ["evaluate"]])
def test_a_call_that_is_wrong_is_one_line_that_says_where_to_read_on(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.endswith(" --help` has examples\n")
    assert said.count("\n") == 1


def test_help_of_all_commands_has_examples_and_exit_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    assert "python -m training report runs/folder" in said
    assert "exit status: 0 done; 1" in said
