"""Code that torch.jit.save printed is taken; code of which anything would run while it is read is not."""

import pytest

from service.errors import InvalidCheckpoint
from service.trust.sources import check_source

PRINTED = """class Linear(Module):
  __parameters__ = ["weight", "bias", ]
  __buffers__ = []
  weight : Tensor
  training : bool
  __annotations__["0"] = __torch__.torch.nn.modules.linear.Linear
  from : __torch__.torch.nn.modules.linear.Linear
  kernel_size : Final[Tuple[int, int]] = (3, -3)
  mode : Final[str] = "a # \\"quoted\\" 'text' \\\\"
  def forward(self: __torch__.Linear,
    input: Tensor,
    sizes: List[int]=[1, 2],
    eps: float=inf,
    device: Device=torch.device("cpu"),
    mode: __torch__.Mode=__torch__.Mode.BILINEAR,
    weight: Optional[Tensor]=None,
    text: str="=torch.from_file()",
    names: List[str]=annotate(List[str], [])) -> Tensor:
    _0 = torch.add(torch.linear(input, self.weight), CONSTANTS.c0)
    return _0
def function(x: Tensor) -> Tensor:
  return x
"""


def method(default: str) -> str:
    return f"def f(self, x: int={default}) -> int:\n  return x\n"


def constant(value: str) -> str:
    return f"class A(Module):\n  x : Final[int] = {value}\n"


def refusal(source: str) -> str:
    with pytest.raises(InvalidCheckpoint) as caught:
        check_source("code/a.py", source.encode())
    assert caught.value.field == "code/a.py"
    return caught.value.problem


def test_what_pytorch_prints_is_taken() -> None:
    check_source("code/a.py", PRINTED.encode())


@pytest.mark.parametrize("within", [method, constant])
@pytest.mark.parametrize(
    "value",
    [
        'torch.from_file("x", True, 8)',
        "__torch__.f()",
        "ops.prim.f()",
        "[1, f()]",
        "(1, [f()])",
        "-f()",
        "f().x",
        "annotate(int, f())",
        "annotate(int, 1, f())",
        "torch.device(f())",
        "[1] * 1000000000",
        "[f for f in range(9)]",
        "1 if f() else 2",
        "x[f()]",
        "f()()",
    ],
)
def test_a_default_that_is_not_written_out_is_refused(within: "type[str]", value: str) -> None:
    assert refusal(within(value)).startswith("would run `")


def test_a_default_is_found_in_a_function_within_a_function() -> None:
    inner = "".join(f"    {line}\n" for line in method("f()").splitlines())
    assert "would run `f()`" in refusal(
        "class A(Module):\n  def g(self) -> int:\n" + inner + "    return 1\n"
    )


@pytest.mark.parametrize("source", ["def __setstate__(self):\n  return 1\n", "x.__setstate__(1)\n"])
def test_a_method_that_runs_when_an_object_is_read_is_refused(source: str) -> None:
    assert "__setstate__" in refusal(source)


@pytest.mark.parametrize(
    "text",
    [
        "# a comment\n",
        "'a'\n",
        '"""a\nb"""\n',
        '"a" + """b"""\n',
        "a \\\n + b\n",
        'r"a"\n',
        '"a\n',
        '"a"b\n',
        "a\tb\n",
        "a\r\n",
        "a = 'é'\n",
        "a = é\n",
        "a = 1; b = 2\n",
        "a\x00\n",
        "a\x0c\n",
        "def f():\n    \n  return 1\n",
        "def f(:\n",
        "(" * 5000 + ")" * 5000 + "\n",
        "-" * 200_000 + "1\n",
    ],
)
def test_text_that_two_parsers_may_read_in_two_ways_is_refused(text: str) -> None:
    assert refusal(text).startswith("is not as torch.jit.save prints it: ")
