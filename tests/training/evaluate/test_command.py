import json
from pathlib import Path

import pytest

from training.commands import main

QUICK = ["--importance-samples", "2", "--limit", "8"]


def test_evaluate_prints_a_table_and_says_where_the_figures_are(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(run), *QUICK]) == 0
    printed = capsys.readouterr().out
    for words in ("8 validation images", "elbo", "nll_iw2", "prior_gap_fitted"):
        assert words in printed
    assert "frechet_classifier: not measured, the covariance of 64 features needs 128 images" in printed
    assert f"kept in {run}/model.evaluation.json and in the metadata of {run}/model.pt" in printed
    results = json.loads((run / "model.evaluation.json").read_text())
    assert results["figures"]["elbo"] == pytest.approx(
        -results["figures"]["rate"] - results["figures"]["distortion"], abs=1e-4
    )


def test_the_results_can_go_elsewhere_and_the_checkpoint_stay_as_it_is(run: Path, tmp_path: Path) -> None:
    before = (run / "model.pt").read_bytes()
    output = tmp_path / "results.json"
    assert main(["evaluate", str(run / "model.pt"), *QUICK, "--no-write", "--output", str(output)]) == 0
    assert json.loads(output.read_text())["protocol"]["num_images"] == 8
    assert (run / "model.pt").read_bytes() == before
    assert sorted(path.name for path in run.glob("model.*")) == ["model.pt"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.pt"], "nowhere.pt does not exist"),
        (["RUN", "--split", "test"], "has no test split: use --split validation"),
        (["RUN", "--limit", "1"], "--limit takes a whole number of 2 or more, not '1'"),
        (["RUN", "--importance-samples", "-1"], "--importance-samples takes a whole number of 0 or more"),
        (["RUN", "--seed", "x"], "--seed takes a whole number from 0 to 2147483647, not 'x'"),
        (["RUN", "--seed", "2147483648"], "--seed takes a whole number from 0 to 2147483647"),
        (["RUN", "--device", "tpu9"], "this machine has no device 'tpu9'"),
        (["RUN", "--output", "nowhere/results.json"], "nowhere of --output does not exist"),
        (["RUN/checkpoints"], "holds no model.pt: export the run"),
    ],
)
def test_an_error_is_one_line_with_the_remedy(
    arguments: list[str],
    message: str,
    finished_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", *(word.replace("RUN", str(finished_run)) for word in arguments)]) == 1
    printed = capsys.readouterr().err.strip()
    assert message in printed
    assert printed.count("\n") == 0


def test_help_teaches_with_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["evaluate", "--help"])
    assert "python -m training evaluate" in capsys.readouterr().out.split("examples:")[1]
