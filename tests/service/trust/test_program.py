"""What a module does is known before any of it runs, and what no checkpoint may do is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from service import checkpoint
from service.description import describe
from service.errors import InvalidCheckpoint
from service.scripted import as_vae, without_deprecation_warning
from tests import planted
from tests.planted import Honest, replaced, rewritten

Plant = Callable[[type[Honest]], Path]


@pytest.fixture
def sentinel(tmp_path: Path) -> Path:
    return tmp_path / "sentinel"


@pytest.fixture
def plant(tiny_checkpoint: Path, sentinel: Path) -> Plant:
    """Write a checkpoint with a module that would make the sentinel."""

    def write(module: type[Honest]) -> Path:
        return planted.planted(
            tiny_checkpoint, sentinel.with_suffix(".pt"), planted.scripted(module(sentinel))
        )

    return write


def described(path: Path) -> InvalidCheckpoint | None:
    """Why a checkpoint is described as one that would not be loaded, or cannot be described."""
    try:
        return describe(path).refusal
    except InvalidCheckpoint as error:
        return error


def refusal(path: Path) -> InvalidCheckpoint:
    """Why a checkpoint is not loaded; it is described as such."""
    with pytest.raises(InvalidCheckpoint) as caught:
        checkpoint.load(path)
    assert str(described(path)) == str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("module", "method"),
    [
        (planted.InDecode, "module.decode"),
        (planted.InPartOfEncode, "tests.planted._spring_deeper"),
        (planted.InHook, "torch.nn.modules.linear.Identity.spring_hook"),
    ],
)
def test_a_module_that_would_write_a_file_is_refused_before_it_runs(
    plant: Plant, sentinel: Path, module: type[Honest], method: str
) -> None:
    error = refusal(plant(module))
    assert error.field == method
    assert error.problem.startswith(
        "uses aten::from_file, which a checkpoint may not (it reads and writes files)"
    )
    assert "VAE_ALLOWED_OPERATORS=aten::from_file" in error.problem
    assert not sentinel.exists()


def test_the_traps_spring_where_nobody_looks(plant: Plant, sentinel: Path) -> None:
    for module in (planted.InDecode, planted.InPartOfEncode):
        with without_deprecation_warning():
            loaded = torch.jit.load(str(plant(module)))
        as_vae(loaded).encode(torch.zeros(1, 3, 8, 8, dtype=torch.uint8))
        as_vae(loaded).decode(torch.zeros(1, 4))
        assert sentinel.stat().st_size > 0
        sentinel.unlink()


SPRING = b'torch.len(torch.from_file("%s", True, 8))'


def in_default(sentinel: Path) -> planted.Change:
    spring = SPRING % bytes(sentinel)
    return replaced("tests/planted.py", b"z: Tensor) ->", b"z: Tensor, n: int=%s) ->" % spring)


def in_constant(sentinel: Path) -> planted.Change:
    spring = SPRING % bytes(sentinel)
    return replaced(
        "tests/planted.py", b"  weight : Tensor\n", b"  weight : Tensor\n  n : Final[int] = %s\n" % spring
    )


@pytest.mark.parametrize("change", [in_default, in_constant])
def test_what_would_run_while_a_file_is_read_is_refused(
    plant: Plant, sentinel: Path, tmp_path: Path, change: Callable[[Path], planted.Change]
) -> None:
    path = rewritten(plant(Honest), tmp_path / "changed.pt", change(sentinel))
    error = refusal(path)
    assert error.field == "code/__torch__/tests/planted.py"
    assert "would run `torch.len(torch.from_file(" in error.problem
    assert not sentinel.exists()
    with without_deprecation_warning():
        torch.jit.load(str(path))
    assert sentinel.stat().st_size > 0, "PyTorch alone does run it"


def test_a_module_that_would_run_when_it_is_loaded_is_refused(plant: Plant, sentinel: Path) -> None:
    path = plant(planted.InLoad)
    error = refusal(path)
    assert error.field == "code/__torch__/tests/planted.py"
    assert "__setstate__" in error.problem
    assert not sentinel.exists()
    with without_deprecation_warning():
        torch.jit.load(str(path))
    assert sentinel.stat().st_size > 0, "PyTorch alone does run it"


@pytest.mark.parametrize(
    ("module", "operator"),
    [
        (planted.Prints, "prim::Print, which a checkpoint may not (it prints)"),
        (planted.Forks, "prim::fork, which a checkpoint may not (it starts threads)"),
        (planted.SetsGlobalState, "aten::manual_seed, which a checkpoint may not (it sets global state)"),
    ],
)
def test_what_else_a_module_may_not_do_is_named(
    plant: Plant, module: type[Honest], operator: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert operator in str(refusal(plant(module)))
    assert capfd.readouterr().out == ""


def test_an_operator_that_is_allowed_by_name_is_taken(plant: Plant, sentinel: Path) -> None:
    path = plant(planted.InDecode)
    description = describe(path, allowed_operators=["aten::from_file"])
    assert description.refusal is None
    assert description.operators["aten::from_file"]
    with pytest.raises(InvalidCheckpoint, match="golden"):
        checkpoint.load(path, allowed_operators=["aten::from_file"])
    assert sentinel.exists()


def test_an_instance_of_a_class_that_is_not_torchscript_is_refused(plant: Plant, tmp_path: Path) -> None:
    makes_stream = replaced(
        "tests/planted.py",
        b"    _0 = torch.zeros(",
        b"    e = __torch__.torch.classes.cuda.Stream.__new__(__torch__.torch.classes.cuda.Stream)\n"
        b"    _1 = (e).__init__(None, 0, )\n"
        b"    _0 = torch.zeros(",
    )
    if not hasattr(torch.classes.cuda, "Stream"):
        pytest.skip("this PyTorch has no CUDA")
    path = rewritten(plant(Honest), tmp_path / "changed.pt", makes_stream)
    assert "uses torch.classes.cuda.Stream" in refusal(path).problem


class Small(nn.Module):
    """Has one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4))

    def forward(self, images: Tensor) -> Tensor:
        return images * self.weight


class Large(Small):
    """Has more attributes than Small."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Parameter(torch.ones(4))

    def forward(self, images: Tensor) -> Tensor:
        return images * self.weight + self.last


class OfParts(Honest):
    """Has parts of two classes."""

    def __init__(self, sentinel: Path) -> None:
        super().__init__(sentinel)
        self.small = Small()
        self.large = Large()

    @torch.jit.export
    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        mu = self.large(self.small(images.flatten(1)[:, :4].float()))
        return mu, mu


def test_an_object_of_another_class_than_the_code_expects_is_refused(plant: Plant, tmp_path: Path) -> None:
    path = rewritten(plant(OfParts), tmp_path / "changed.pt", replaced("/data.pkl", b"Large\n", b"Small\n"))
    error = refusal(path)
    assert error.field == "tests.service.trust.test_program.OfParts"
    assert error.problem.startswith(
        "large is a tests.service.trust.test_program.Small, where the code expects"
    )


def test_a_description_says_what_a_checkpoint_does_and_holds(tiny_checkpoint: Path) -> None:
    description = describe(tiny_checkpoint)
    assert description.refusal is None
    assert description.num_parameters == 4 * 192 + 64 * 4
    assert description.num_weight_bytes == 4 * (4 * 192 + 64 * 4 + 4)
    assert {"aten::matmul", "aten::clamp", "prim::GetAttr"} <= set(description.operators)
    assert all(description.operators.values())
