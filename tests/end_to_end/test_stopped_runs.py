"""Runs that are killed, stopped or find no room on the disk, and go on."""

import signal
from pathlib import Path

import pytest

from service.command_line import python
from tests.training_run import TrainingProcess, assert_same_network, last, tiny_flags

pytestmark = pytest.mark.slow

ALWAYS = "1e-9"  # minutes


def ran(arguments: list[str], *, max_file_bytes: int | None = None) -> tuple[int, str]:
    with TrainingProcess(arguments, max_file_bytes=max_file_bytes) as run:
        return run.ended()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of three epochs that nobody stopped."""
    runs = tmp_path_factory.mktemp("whole")
    status, said = ran(tiny_flags(runs, optimizer__epochs="3"))
    assert status == 0, said
    return runs / "sprites"


def test_a_run_that_was_killed_goes_on_and_ends_as_if_it_had_not_been(whole: Path, tmp_path: Path) -> None:
    root = tmp_path / "sprites"
    flags = tiny_flags(tmp_path, optimizer__epochs="3", machine__save_minutes=ALWAYS)
    with TrainingProcess(flags) as run:
        run.wait_until((root / "checkpoints/last.ckpt").exists)
        run.process.send_signal(signal.SIGKILL)
        assert run.ended()[0] == -signal.SIGKILL
    assert 0 < last(root)["global_step"] < 48
    status, said = ran(["train", "--resume", str(root)])
    assert status == 0, said
    assert_same_network(last(whole), last(root))
    assert (root / "model.pt").is_file()


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_the_run_says_how_to_go_on_and_is_the_exit_status(
    whole: Path, tmp_path: Path, number: signal.Signals, expected: int
) -> None:
    root = tmp_path / "sprites"
    with TrainingProcess(tiny_flags(tmp_path, optimizer__epochs="1000")) as run:
        run.wait_until(lambda: any((root / "grids").glob("*epoch001.png")))
        run.process.send_signal(number)
        status, said = run.ended()
    assert status == expected, said
    assert f"go on with: {python()} -m training train --resume {root}" in said.splitlines()[-1]
    assert "Traceback" not in said
    stopped_at = last(root)["global_step"]
    assert f"step {stopped_at}," in said
    assert stopped_at >= 32


def test_a_checkpoint_that_finds_no_room_leaves_the_earlier_one_and_says_how_to_go_on(tmp_path: Path) -> None:
    root = tmp_path / "sprites"
    assert ran(tiny_flags(tmp_path, optimizer__epochs="1"))[0] == 0
    earlier = (root / "checkpoints/last.ckpt").read_bytes()
    names = {path.name for path in (root / "checkpoints").iterdir()}
    resume = ["train", "--resume", str(root), "--epochs", "2"]

    status, said = ran(resume, max_file_bytes=len(earlier) - 1)
    assert status == 1
    assert "Traceback" not in said
    error = said.splitlines()[-1]
    assert error.startswith(f"error: {root}/checkpoints/epoch001-loss")
    assert error.endswith(
        "cannot be written: File too large; make room there, then go on from what was last saved with: "
        f"{python()} -m training train --resume {root}"
    )
    assert (root / "checkpoints/last.ckpt").read_bytes() == earlier
    assert {path.name for path in (root / "checkpoints").iterdir()} == names

    status, said = ran(resume)
    assert status == 0, said
    assert last(root)["global_step"] == 32


def test_an_export_that_finds_no_room_leaves_the_earlier_one_and_nothing_else(whole: Path) -> None:
    before = {path.name for path in whole.iterdir()}
    earlier = (whole / "model.pt").read_bytes()
    status, said = ran(["export", str(whole)], max_file_bytes=len(earlier) // 2)
    assert status == 1
    assert said.splitlines()[-1].startswith(f"error: {whole}/model.pt cannot be written: File too large")
    assert "Traceback" not in said
    assert (whole / "model.pt").read_bytes() == earlier
    assert {path.name for path in whole.iterdir()} == before


def test_figures_that_find_no_room_are_said_in_one_line(whole: Path, tmp_path: Path) -> None:
    # TensorBoard's file grows with each epoch, all others keep their size.
    limit = 2 * (whole / "checkpoints/last.ckpt").stat().st_size
    status, said = ran(tiny_flags(tmp_path, optimizer__epochs="1000"), max_file_bytes=limit)
    assert status == 1
    assert said.splitlines()[-1].startswith(f"error: {tmp_path}/sprites cannot be written: File too large")
    assert "Traceback" not in said
    assert last(tmp_path / "sprites")["global_step"] >= 16
