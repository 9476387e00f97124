"""Checkpoint files that somebody has tampered with, and modules that do what no checkpoint may.

Every trap would make a file, the sentinel, by `torch.from_file`, which writes one where there is none. Its
result is used each time, since PyTorch leaves out what is not.
"""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from service.scripted import without_deprecation_warning

Change = Callable[[dict[str, bytes]], None]


def files_of(path: Path) -> dict[str, bytes]:
    """The files in an archive, by name."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(target: Path, files: dict[str, bytes]) -> Path:
    """An archive of files, stored as they are."""
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target


def rewritten(source: Path, target: Path, change: Change) -> Path:
    """A copy of a checkpoint with `change` made to its files, which are given by name."""
    files = files_of(source)
    change(files)
    return write(target, files)


def replaced(name: str, old: bytes, new: bytes) -> Change:
    """Replace bytes, which must be there once, in the file whose name ends so."""

    def change(files: dict[str, bytes]) -> None:
        (full,) = [full for full in files if full.endswith(name)]
        assert files[full].count(old) == 1
        files[full] = files[full].replace(old, new)

    return change


def scripted(module: nn.Module) -> torch.jit.ScriptModule:
    """The module as TorchScript."""
    with without_deprecation_warning():
        return torch.jit.script(module.eval())


def planted(honest: Path, target: Path, module: torch.jit.ScriptModule) -> Path:
    """A checkpoint with another module than the one that its metadata and golden values tell of."""
    content = io.BytesIO()
    extra = {
        name.split("/extra/")[1]: content for name, content in files_of(honest).items() if "/extra/" in name
    }
    with without_deprecation_warning():
        torch.jit.save(module, content, _extra_files=extra)
    target.write_bytes(content.getvalue())
    return target


class Honest(nn.Module):
    """Keeps the contract of tests/tiny_vae.py in shapes only."""

    def __init__(self, sentinel: Path) -> None:
        super().__init__()
        self.sentinel = str(sentinel)
        self.weight = nn.Parameter(torch.ones(4))

    @torch.jit.export
    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        mu = images.flatten(1)[:, :4].float() * self.weight
        return mu, mu

    @torch.jit.export
    def decode(self, z: Tensor) -> Tensor:
        return torch.zeros(z.size(0), 3, 8, 8, dtype=torch.uint8)


class InDecode(Honest):
    """Springs when it decodes."""

    @torch.jit.export
    def decode(self, z: Tensor) -> Tensor:
        return torch.zeros(z.size(0), 3, 8, 8).add(torch.from_file(self.sentinel, True, 8)).to(torch.uint8)


def spring(sentinel: str, images: Tensor) -> Tensor:
    """Spring in a branch of a function that a function calls."""
    if images.size(0) > 0:
        return _spring_deeper(sentinel)
    return images.float()


def _spring_deeper(sentinel: str) -> Tensor:
    return torch.from_file(sentinel, True, 8)


class Inner(nn.Module):
    """A part that springs when it is called."""

    def __init__(self, sentinel: Path) -> None:
        super().__init__()
        self.sentinel = str(sentinel)

    def forward(self, images: Tensor) -> Tensor:
        return spring(self.sentinel, images)


class InPartOfEncode(Honest):
    """Springs in a part, in a nested function, in a branch, when it encodes."""

    def __init__(self, sentinel: Path) -> None:
        super().__init__(sentinel)
        self.inner = nn.Sequential(nn.Identity(), Inner(sentinel))

    @torch.jit.export
    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        mu = images.flatten(1)[:, :4].float() + self.inner(images).sum()
        return mu, mu


def spring_hook(self: nn.Module, arguments: tuple[Tensor], result: Tensor) -> Tensor:
    """Spring after the part that it is hooked to."""
    return result + torch.from_file("sentinel", True, 8).sum()


class InHook(Honest):
    """Springs in a hook of a part."""

    def __init__(self, sentinel: Path) -> None:
        super().__init__(sentinel)
        self.inner = nn.Identity()
        self.inner.register_forward_hook(spring_hook)

    @torch.jit.export
    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        mu = self.inner(images.flatten(1)[:, :4].float())
        return mu, mu


class InLoad(Honest):
    """Springs when it is loaded."""

    @torch.jit.export
    def __getstate__(self) -> tuple[str, Tensor, bool]:
        return self.sentinel, self.weight, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[str, Tensor, bool]) -> None:
        self.sentinel = state[0]
        self.weight = state[1] + torch.from_file(self.sentinel, True, 4)
        self.training = state[2]


class Prints(Honest):
    """Prints what it decodes."""

    @torch.jit.export
    def decode(self, z: Tensor) -> Tensor:
        print(z)  # noqa: T201
        return torch.zeros(z.size(0), 3, 8, 8, dtype=torch.uint8)


class Forks(Honest):
    """Decodes in another thread."""

    @torch.jit.export
    def decode(self, z: Tensor) -> Tensor:
        future = torch.jit.fork(_spring_deeper, self.sentinel)
        return torch.jit.wait(future).to(torch.uint8)


class SetsGlobalState(Honest):
    """Seeds every generator of the process."""

    @torch.jit.export
    def decode(self, z: Tensor) -> Tensor:
        torch.manual_seed(0)
        return torch.zeros(z.size(0), 3, 8, 8, dtype=torch.uint8)
