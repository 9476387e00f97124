"""The pickles in a TorchScript archive, read as plain data before PyTorch's own reader sees them.

PyTorch's reader runs no Python, and trusts what it reads: a tensor that reaches beyond its storage reads
somebody else's memory. So they are read here first, by Python's unpickler with stand-ins for everything that
a pickle may name: no function of PyTorch is called.
"""

import dataclasses
import io
import math
import pickle
import pickletools
import re
from collections.abc import Callable, Iterator, Mapping

from service.errors import InvalidCheckpoint

# What PyTorch writes; its reader knows a few more, and checks less of them.
_OPCODES = (
    "APPENDS BINFLOAT BINGET BININT BININT1 BININT2 BINPERSID BINPUT BINUNICODE BUILD EMPTY_DICT EMPTY_LIST"
    " EMPTY_TUPLE GLOBAL LONG1 LONG_BINGET LONG_BINPUT MARK NEWFALSE NEWOBJ NEWTRUE NONE PROTO REDUCE"
    " SETITEMS STOP TUPLE TUPLE1 TUPLE2 TUPLE3"
)
_ITEM_BYTES = {
    "BoolStorage": 1,
    "ByteStorage": 1,
    "CharStorage": 1,
    "ShortStorage": 2,
    "HalfStorage": 2,
    "BFloat16Storage": 2,
    "IntStorage": 4,
    "FloatStorage": 4,
    "LongStorage": 8,
    "DoubleStorage": 8,
    "ComplexFloatStorage": 8,
    "ComplexDoubleStorage": 16,
}
_CLASS = re.compile(r"__torch__(\.\w+)*", re.ASCII)
NATIVE_CLASSES = "__torch__.torch.classes."

Classes = Mapping[tuple[str, str], frozenset[str]]


class _Object:
    """An instance of a class of the archive; `attributes` is what it was built from."""

    attributes: dict[str, object] | None = None

    def __setstate__(self, state: object) -> None:
        if self.attributes is not None or not isinstance(state, dict):
            raise ValueError("an object is built twice, or not from a dict")
        self.attributes = state

    def built(self) -> dict[str, object]:
        """Its attributes."""
        if self.attributes is None:
            raise ValueError("an object is not built")
        return self.attributes


class _Fixed:
    """What a pickle cannot build on, which would change it."""

    def __setstate__(self, state: object) -> None:
        raise ValueError("something other than an object is built")


@dataclasses.dataclass(frozen=True)
class _Function(_Fixed):
    """What a pickle may call by name."""

    call: Callable[..., object]

    def __call__(self, *arguments: object) -> object:
        return self.call(*arguments)


@dataclasses.dataclass(frozen=True)
class _Storage(_Fixed):
    num_items: int


def _tensor(
    storage: object,
    offset: int,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    requires_grad: bool,
    hooks: None,
) -> None:
    """Check that a tensor lies inside its storage; any argument may be something else."""
    if not isinstance(storage, _Storage):
        raise ValueError("a tensor has no storage")
    numbers = (offset, *size, *stride)
    if len(size) != len(stride) or not all(type(number) is int and number >= 0 for number in numbers):
        raise ValueError("a tensor has no proper shape")
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    num_items: int = math.prod(size)
    if num_items > storage.num_items or (num_items and last >= storage.num_items):
        raise ValueError(f"a tensor of {list(size)} reaches beyond its {storage.num_items} stored numbers")


_FUNCTIONS = {
    ("torch._utils", "_rebuild_tensor_v2"): _Function(_tensor),
    ("collections", "OrderedDict"): _Function(lambda: None),
    ("torch", "device"): _Function(lambda name: None),
    ("builtins", "complex"): _Function(lambda real, imaginary: None),
    ("torch.jit._pickle", "restore_type_tag"): _Function(lambda value, name: value),
    **{
        ("torch.jit._pickle", f"build_{kind}list"): _Function(lambda values: values)
        for kind in ("int", "double", "bool", "tensor")
    },
}


class _Unpickler(pickle.Unpickler):
    """Reads a pickle into stand-ins."""

    def __init__(self, content: bytes, folder: str, tensors: Mapping[str, bytes]) -> None:
        super().__init__(io.BytesIO(content))
        self._folder = folder
        self._tensors = tensors
        self._classes: dict[str, type[_Object]] = {}

    def find_class(self, module: str, name: str) -> object:
        if function := _FUNCTIONS.get((module, name)):
            return function
        if module == "torch" and name in _ITEM_BYTES:
            return name
        full = f"{module}.{name}"
        if not _CLASS.fullmatch(full) or full.startswith(NATIVE_CLASSES):
            raise ValueError(f"it names {full}, which no checkpoint needs")
        return self._classes.setdefault(full, type(full, (_Object,), {}))

    def persistent_load(self, pid: tuple[str, str, str, str, int]) -> _Storage:
        kind, item, key, _, num_items = pid
        num_bytes = len(self._tensors.get(f"{self._folder}/{key}", b""))
        if kind != "storage" or type(num_items) is not int or num_bytes != num_items * _ITEM_BYTES[item]:
            raise ValueError(f"storage {key} has {num_bytes} bytes, declared are {num_items} of {item}")
        return _Storage(num_items)


def check_pickle(name: str, content: bytes, tensors: Mapping[str, bytes]) -> Classes:
    """Refuse a pickle that names, calls or reaches what a module does not need.

    Args:
        name: "data.pkl" or "constants.pkl".
        content: Its bytes.
        tensors: The storages of the archive, by name.

    Returns:
        The classes of the objects that are attributes, by the class and attribute that hold them.

    Raises:
        InvalidCheckpoint: Naming the part.
    """
    try:
        for opcode, argument, _ in pickletools.genops(content):
            if opcode.name not in _OPCODES or (
                opcode.name == "LONG_BINPUT" and (argument or 0) > len(content)
            ):
                raise ValueError(f"opcode {opcode.name} {argument}")
        root = _Unpickler(content, name.removesuffix(".pkl"), tensors).load()
        held: dict[tuple[str, str], frozenset[str]] = {}
        for holder, attribute, value in _attributes(root):
            key = (holder, attribute)
            held[key] = held.get(key, frozenset()) | {type(value).__name__}
    except (pickle.UnpicklingError, ValueError, TypeError, KeyError, AttributeError, EOFError) as error:
        raise InvalidCheckpoint(name, f"is not as torch.jit.save writes it: {error}") from None
    except (IndexError, OverflowError, MemoryError, RecursionError) as error:
        raise InvalidCheckpoint(name, f"is damaged: {type(error).__name__}") from None
    return held


def _attributes(root: object) -> Iterator[tuple[str, str, _Object]]:
    """Every object that is an attribute of another, with the holder's class and the attribute's name."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        holder = waiting.pop()
        if id(holder) in seen:
            continue
        seen.add(id(holder))
        if isinstance(holder, _Object):
            attributes = holder.built()
            objects = {name: value for name, value in attributes.items() if isinstance(value, _Object)}
            yield from ((type(holder).__name__, name, value) for name, value in objects.items())
            waiting.extend(attributes.values())
        else:
            values = _elements(holder)
            if any(isinstance(value, _Object) for value in values):
                raise ValueError("an object is kept in a list, and not as an attribute")
            waiting.extend(values)


def _elements(value: object) -> list[object]:
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    return list(value) if isinstance(value, list | tuple) else []
