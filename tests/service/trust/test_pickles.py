"""Pickles that TorchScript wrote are taken; what would call, claim or hide something is refused."""

import os
import pickle
import struct
from pathlib import Path

import pytest

from service import checkpoint
from service.description import describe
from service.errors import InvalidCheckpoint
from service.trust.pickles import check_pickle
from tests import planted

TENSORS = {"data/0": bytes(24), "data/1": bytes(8)}


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def number(value: int) -> bytes:
    return b"\x8a\x08" + struct.pack("<q", value)


def numbers(*values: int) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


def storage(kind: str = "FloatStorage", key: str = "0", num: int = 6, kind_of_id: str = "storage") -> bytes:
    return b"(" + text(kind_of_id) + name("torch", kind) + text(key) + text("cpu") + number(num) + b"tQ"


def tensor(
    offset: int = 0, size: tuple[int, ...] = (2, 3), stride: tuple[int, ...] = (3, 1), **stored: object
) -> bytes:
    arguments = storage(**stored) + number(offset) + numbers(*size) + numbers(*stride) + b"\x89"  # type: ignore[arg-type]
    hooks = name("collections", "OrderedDict") + b")R"
    return name("torch._utils", "_rebuild_tensor_v2") + b"(" + arguments + hooks + b"tR"


def an_object(class_name: str, **attributes: bytes) -> bytes:
    """An object of a class in the archive, with pickled attributes."""
    state = b"".join(text(key) + value for key, value in attributes.items())
    return name("__torch__", class_name) + b")\x81}(" + state + b"ub"


def check(body: bytes) -> object:
    return check_pickle("data.pkl", b"\x80\x02" + body + b".", TENSORS)


def refusal(body: bytes) -> str:
    with pytest.raises(InvalidCheckpoint) as caught:
        check(body)
    assert caught.value.field == "data.pkl"
    return caught.value.problem


def test_a_tree_of_objects_is_taken_and_its_classes_told() -> None:
    inner = an_object("B", weight=tensor(), names=b"](" + text("a") + b"e", training=b"\x88")
    assert check(an_object("A", left=inner, right=an_object("C"), again=an_object("B"))) == {
        ("__torch__.A", "left"): {"__torch__.B"},
        ("__torch__.A", "right"): {"__torch__.C"},
        ("__torch__.A", "again"): {"__torch__.B"},
    }


@pytest.mark.parametrize(
    "wanted",
    [
        tensor(),
        tensor(offset=3, size=(3,), stride=(1,)),
        tensor(offset=5, size=(), stride=()),
        tensor(size=(0, 7), stride=(7, 1)),
        tensor(size=(3, 2), stride=(1, 3)),
        tensor(kind="LongStorage", key="1", num=1, size=(1,), stride=(1,)),
        name("torch.jit._pickle", "build_intlist") + b"(](K\x01eetR".replace(b"ee", b"e"),
        name("builtins", "complex") + b"G" + bytes(8) + b"G" + bytes(8) + b"\x86R",
    ],
)
def test_what_a_module_keeps_is_taken(wanted: bytes) -> None:
    check(an_object("A", kept=wanted))


@pytest.mark.parametrize(
    "wrong",
    [
        tensor(size=(2**40,), stride=(1,)),
        tensor(size=(7,), stride=(1,)),
        tensor(size=(2**40, 2**40), stride=(0, 0)),
        tensor(size=(7,), stride=(0,)),
        tensor(size=(2, 3), stride=(4, 1)),
        tensor(offset=1),
        tensor(offset=2**62),
    ],
)
def test_a_tensor_that_reaches_beyond_its_storage_is_refused(wrong: bytes) -> None:
    assert "reaches beyond its 6 stored numbers" in refusal(an_object("A", weight=wrong))


@pytest.mark.parametrize(
    "wrong", [tensor(offset=-1), tensor(size=(-2, 3)), tensor(stride=(-3, 1)), tensor(size=(6,))]
)
def test_a_tensor_without_a_proper_shape_is_refused(wrong: bytes) -> None:
    assert "no proper shape" in refusal(an_object("A", weight=wrong))


@pytest.mark.parametrize(
    "wrong",
    [
        tensor(num=7),
        tensor(num=2**40),
        tensor(num=-1),
        tensor(kind="DoubleStorage"),
        tensor(key="9"),
        tensor(key="../data/0"),
        tensor(kind_of_id="module"),
    ],
)
def test_a_storage_of_another_size_than_declared_is_refused(wrong: bytes) -> None:
    assert "bytes, declared are" in refusal(an_object("A", weight=wrong))


@pytest.mark.parametrize(
    ("module", "attribute"),
    [
        ("os", "system"),
        ("builtins", "eval"),
        ("torch", "load"),
        ("torch._utils", "_rebuild_qtensor"),
        ("torch._utils", "_rebuild_sparse_tensor"),
        ("torch._tensor", "_rebuild_from_type_v2"),
        ("torch.distributed.rpc", "rref"),
        ("torch.jit._pickle", "build_tensor_from_id"),
        ("__torch__.torch.classes.quantized", "LinearPackedParamsBase"),
        ("__torch__.torch", "classes.cuda.Stream"),
        ("__main__", "TensorID"),
    ],
)
def test_a_name_that_no_module_needs_is_refused(module: str, attribute: str) -> None:
    assert refusal(name(module, attribute)) == (
        f"is not as torch.jit.save writes it: it names {module}.{attribute}, which no checkpoint needs"
    )


@pytest.mark.parametrize(
    "wrong",
    [
        b"K\x00)R",  # PyTorch's reader would call the first name of the file
        an_object("A") + b"}b",
        name("__torch__", "A") + b")\x81",
        an_object("A", kept=b"](" + an_object("B") + b"e"),
        an_object("A", kept=an_object("B") + b"\x85"),
        an_object("A", kept=name("collections", "OrderedDict") + b"}b"),
        an_object("A", kept=storage() + b"}(" + text("num_items") + number(2**40) + b"ub"),
        b"}(K\x01u",
        b"h\x05",
        b"t",
        b"N0",
        b"cos\nsystem",
        b"X\xff\xff\xff\x7fa",
        b"Nr\xff\xff\xff\xff",
        b"\x8c\x01a",
        b"\x95" + bytes(8) + b"N",
        b"",
    ],
)
def test_what_torchscript_does_not_write_is_refused(wrong: bytes) -> None:
    refusal(wrong)


def test_a_pickle_cannot_change_what_is_called_for_the_next(tiny_checkpoint: Path) -> None:
    function = name("torch._utils", "_rebuild_tensor_v2")
    assert "is built" in refusal(function + b"}(" + text("call") + text("x") + b"ub")
    assert "is built" in refusal(function + b"N}(" + text("call") + text("x") + b"u\x86b")
    checkpoint.load(tiny_checkpoint)


class _Command:
    """Runs a command when Python's own pickle reads it."""

    def __init__(self, sentinel: Path) -> None:
        self.sentinel = sentinel

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.sentinel}",)


@pytest.mark.parametrize("part", ["data.pkl", "constants.pkl"])
def test_a_planted_command_is_not_run(tiny_checkpoint: Path, tmp_path: Path, part: str) -> None:
    sentinel = tmp_path / "sentinel"
    command = pickle.dumps(_Command(sentinel), protocol=2)
    path = planted.rewritten(
        tiny_checkpoint, tmp_path / "model.pt", lambda files: files.update({f"archive/{part}": command})
    )
    for look in (checkpoint.load, describe):
        with pytest.raises(
            InvalidCheckpoint, match=r"it names \w+\.system, which no checkpoint needs"
        ) as caught:
            look(path)
        assert caught.value.field == part
    assert not sentinel.exists()
    pickle.loads(command)
    assert sentinel.exists(), "the trap springs where nobody looks"
