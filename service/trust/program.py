"""The code and weights of a checkpoint, compiled, checked, and not yet run."""

import dataclasses
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import torch

from service.errors import InvalidCheckpoint
from service.trust.archive import Archive
from service.trust.operators import is_allowed, reason
from service.trust.pickles import NATIVE_CLASSES, Classes, check_pickle
from service.trust.sources import check_source


@dataclasses.dataclass(frozen=True)
class Method:
    """What a method of a module takes and gives, by TorchScript's names of types.

    Attributes:
        text: The whole of it for people, such as `encode(Tensor x) -> List[Tensor]`.
        takes: The types of the arguments that it must be given.
        gives: The type of its result.
    """

    text: str
    takes: tuple[str, ...]
    gives: str


class Program:
    """A checkpoint's module before anything of it runs.

    Every function that the file holds is looked at, whether or not encode and decode call it: methods of any
    class, hooks and plain functions, with their branches and loops.

    Args:
        archive: The parts of the file.

    Attributes:
        operators: Every operator in the code, with the first function in which it stands. An instance of a
            class that is not TorchScript counts as an operator of the name of that class.

    Raises:
        InvalidCheckpoint: Naming the part that cannot be read, or that would run while it is read.
    """

    def __init__(self, archive: Archive) -> None:
        for name, source in archive.code.items():
            check_source(name, source)
        stored: Classes = {}
        for name, content in archive.pickles.items():
            stored = {**stored, **check_pickle(name, content, archive.tensors)}
        unit: Any = torch._C.CompilationUnit()
        compiled: Any = torch._C.import_ir_module_from_buffer
        try:
            self._module = compiled(unit, archive.for_torch(), torch.device("cpu"), {}, False)
            graphs = {function.qualified_name: function.graph for function in unit.get_functions()}
        except (RuntimeError, ValueError, IndexError, TypeError, MemoryError) as error:
            reason = str(error).strip().splitlines()[0][:200]
            raise InvalidCheckpoint("module", f"holds no loadable TorchScript: {reason}") from error
        self.operators: dict[str, str] = {}
        for name, graph in graphs.items():
            for node in _nodes(graph):
                _check_classes(node, stored)
                for operator in _operators(node, graphs):
                    self.operators.setdefault(operator, name)

    def check_operators(self, allowed_operators: Collection[str] = ()) -> None:
        """Refuse operators that are not allowed, `allowed_operators` being further ones that are.

        Raises:
            InvalidCheckpoint: Naming the method and the operator, and what to do.
        """
        root = self._module._type().annotation_str
        for operator, function in self.operators.items():
            if not is_allowed(operator, allowed_operators):
                raise InvalidCheckpoint(
                    _readable(function.replace(f"{root}.", "module.", 1)),
                    f"uses {operator}, which a checkpoint may not ({reason(operator)}); export a module that "
                    f"does without, or set VAE_ALLOWED_OPERATORS={operator} where you trust it",
                )

    @property
    def methods(self) -> Mapping[str, Method]:
        """The methods of the module itself, by name."""
        names = sorted(self._module._method_names())
        return {name: _method(name, self._module._get_method(name).schema) for name in names}

    def module(self) -> torch.jit.ScriptModule:
        """The module; whoever runs it has checked its operators."""
        module: torch.jit.ScriptModule = torch.jit._recursive.wrap_cpp_module(self._module)
        return module


def _method(name: str, schema: torch.FunctionSchema) -> Method:
    arguments = [(argument.type.annotation_str, argument) for argument in schema.arguments[1:]]
    given = ", ".join(f"{_readable(kind)} {argument.name}" for kind, argument in arguments)
    gives = schema.returns[0].type.annotation_str
    return Method(
        text=f"{name}({given}) -> {_readable(gives)}",
        takes=tuple(kind for kind, argument in arguments if not argument.has_default_value()),
        gives=gives,
    )


def _nodes(block: torch.Graph | torch.Block) -> Iterator[torch.Node]:
    for node in block.nodes():
        yield node
        for inner in node.blocks():
            yield from _nodes(inner)


def _operators(node: torch.Node, functions: Collection[str]) -> Iterator[str]:
    """What a node does; a call of a function that is not in the file goes by the name of that function."""
    called = next(node.inputs()).type().annotation_str if node.kind() == "prim::CallFunction" else None
    yield node.kind() if called is None or called in functions else called
    for output in node.outputs():
        if NATIVE_CLASSES in output.type().annotation_str:
            yield output.type().annotation_str.removeprefix("__torch__.")


def _check_classes(node: torch.Node, stored: Classes) -> None:
    """Refuse an object where the code expects one of another class: PyTorch would read beyond its end."""
    if node.kind() != "prim::GetAttr":
        return
    holder, attribute = next(node.inputs()).type().annotation_str, node.s("name")
    expected = node.output().type()
    for found in stored.get((holder, attribute), ()):
        is_same = expected.annotation_str in (found, f"Optional[{found}]")
        if not is_same and expected.kind() != "InterfaceType":
            problem = f"{attribute} is a {found}, where the code expects a {expected.annotation_str}"
            raise InvalidCheckpoint(_readable(holder), _readable(problem))


def _readable(name: str) -> str:
    """A name as in the program that was exported."""
    return re.sub(r"\b__torch__\.|\b___torch_mangle_\d+\.", "", name)
