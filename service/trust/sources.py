"""The code in a TorchScript archive, parsed and not run, for what would run while the file is read.

Two things would: a method `__setstate__`, called for each object that is read, and the defaults of arguments
and the constants of classes, which PyTorch's importer evaluates whatever they call. `torch.jit.save` writes
defaults as plain values and, for modules of ordinary layers, no `__setstate__`; anything else is refused.

The parser is Python's. So that it cannot read the text otherwise than PyTorch's does, the text must be as
`torch.jit.save` prints it: ASCII, strings in double quotes, no comments, no continued lines.
"""

import ast
import re

from service.errors import InvalidCheckpoint

_STRING = re.compile(r'(?<![\w"])"(?:[^"\\\n]|\\[ -~])*"(?![\w"])')
_UNPRINTED = re.compile(r"""[^ -~\n]|["'#\\;`]|^ +$""", re.MULTILINE)
# Words of Python that are plain names in TorchScript, where a ModuleDict may have them as keys.
_WORDS = re.compile(r"\b(async|await|except|finally|from|lambda|nonlocal|try|yield)\b")


def check_source(name: str, source: bytes) -> None:
    """Refuse code of which anything would run while the file is read.

    Args:
        name: Of the part of the archive, for the message.
        source: Its text.

    Raises:
        InvalidCheckpoint: Naming the part.
    """
    text = source.decode("ascii", "replace")
    if "__setstate__" in text:
        raise InvalidCheckpoint(name, "has a method __setstate__, which would run while the file is read")
    text = _STRING.sub("_", text)
    if found := _UNPRINTED.search(text):
        raise InvalidCheckpoint(name, f"is not as torch.jit.save prints it: {found.group()!r}")
    try:
        tree = ast.parse(_WORDS.sub(r"\1_", text))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InvalidCheckpoint(name, f"is not as torch.jit.save prints it: {error}") from None
    for node in ast.walk(tree):
        for value in _evaluated_when_read(node):
            if not _is_plain(value):
                problem = f"would run `{ast.unparse(value)[:100]}` while the file is read"
                raise InvalidCheckpoint(name, problem)


def _evaluated_when_read(node: ast.AST) -> list[ast.expr]:
    """What PyTorch evaluates of this node before any method is called."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        return [value for value in (*node.args.defaults, *node.args.kw_defaults) if value is not None]
    if isinstance(node, ast.ClassDef):
        return [
            statement.value
            for statement in node.body
            if isinstance(statement, ast.Assign | ast.AnnAssign)
            and statement.value is not None
            and not _is_annotation(statement)
        ]
    return []


def _is_annotation(statement: ast.Assign | ast.AnnAssign) -> bool:
    """Whether it is `__annotations__["0"] = type`: a type is looked up and not evaluated."""
    return isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Subscript)


def _is_plain(value: ast.expr) -> bool:
    """Whether it is a value that is written out."""
    match value:
        case ast.Constant() | ast.Name():
            return True
        case ast.Attribute(value=inner) | ast.UnaryOp(operand=inner):
            return _is_plain(inner)
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            return all(map(_is_plain, elements))
        case ast.Call(func=ast.Name(id="annotate"), args=[_, inner]):
            return _is_plain(inner)
        case ast.Call(func=ast.Attribute(value=ast.Name(id="torch"), attr="device"), args=[ast.Name()]):
            return True
    return False
