"""A checkpoint file as a zip archive: its parts, read within bounds, and put together anew for PyTorch.

PyTorch's own reader passes over checksums, finds names in either case and takes any declared size. So it
never sees the file: it is given an archive made of the parts that were checked, and of no others.
"""

import dataclasses
import io
import re
import zipfile
from collections.abc import Iterator, Mapping

from service.errors import InvalidCheckpoint
from service.trust.zip_errors import ZIP_ERRORS

# What a file may grow by when it is unpacked. Weights are stored as they are; code shrinks to a fifth.
MAX_INFLATED_BYTES = 64 * 1024**2
MAX_CODE_BYTES = 8 * 1024**2

# The parts that are read, each kind a group; whatever else is in the file is passed over.
_READ = re.compile(
    r"(?P<code>code/__torch__[\w/]*\.py)|(?P<pickles>(constants|data)\.pkl)|(?P<tensors>(constants|data)/\d+)"
    r"|extra/(?P<extra>.+)|(?P<marks>version|\.data/version|byteorder|\.data/serialization_id)",
    re.ASCII,
)
_ENCRYPTED = 0x1

# The number that a file begins with which torch.save wrote before it wrote archives, in a pickle of its own.
_LEGACY_MAGIC = (0x1950A86A20F9469CFC6C).to_bytes(10, "little")
_LEGACY_PLACE = slice(4, 14)
WEIGHTS_ALONE = (
    "holds weights alone, as torch.save writes them of a state dict or a module, and no code:"
    " `torch.jit.script(model).save(FILE)` writes what is needed, or, of a run of training,"
    " `python -m training export`"
)


@dataclasses.dataclass(frozen=True)
class Archive:
    """The parts of a file that are read, by their names inside the archive.

    Attributes:
        code: The TorchScript sources.
        pickles: constants.pkl and data.pkl, where they are there.
        tensors: The bytes of each storage, such as `data/0`.
        extra: What was added to the archive beside TorchScript, less the folder's name.
        marks: Version and byte order.
    """

    code: Mapping[str, bytes]
    pickles: Mapping[str, bytes]
    tensors: Mapping[str, bytes]
    extra: Mapping[str, bytes]
    marks: Mapping[str, bytes]

    @classmethod
    def read(cls, content: bytes) -> "Archive":
        """Read the parts of a file.

        Raises:
            InvalidCheckpoint: Not an archive, damaged, or not such as `torch.jit.save` writes. What
                torch.save wrote is told by the names of its parts: nothing is unpickled.
        """
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                parts: dict[str, dict[str, bytes]] = {field.name: {} for field in dataclasses.fields(cls)}
                for kind, name, entry in _entries(archive, len(content)):
                    parts[kind][name] = archive.read(entry)
        except (ValueError, *ZIP_ERRORS) as error:
            problem = f"not a TorchScript archive, or is truncated or damaged ({error})"
            is_legacy = content[_LEGACY_PLACE] == _LEGACY_MAGIC
            raise InvalidCheckpoint("file", WEIGHTS_ALONE if is_legacy else problem) from None
        if "data.pkl" in parts["pickles"] and not parts["code"]:
            raise InvalidCheckpoint("file", WEIGHTS_ALONE)
        return cls(**parts)

    def for_torch(self) -> bytes:
        """The archive that PyTorch may read: the same parts, less what was added beside TorchScript."""
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name, part in {**self.marks, **self.code, **self.pickles, **self.tensors}.items():
                archive.writestr(f"archive/{name}", part)
        return file.getvalue()


def _entries(archive: zipfile.ZipFile, num_bytes: int) -> Iterator[tuple[str, str, zipfile.ZipInfo]]:
    """Kind, name and entry of each part that is read."""
    infos = archive.infolist()
    _check_entries(infos, num_bytes)
    for info in infos:
        if match := _READ.fullmatch(info.filename.partition("/")[2]):
            kind = next(kind for kind, name in match.groupdict().items() if name)
            yield kind, match[kind], info


def _check_entries(infos: list[zipfile.ZipInfo], num_bytes: int) -> None:
    names = [info.filename for info in infos]
    num_code_bytes = sum(info.file_size for info in infos if info.filename.endswith(".py"))
    if len({name.partition("/")[0] for name in names}) > 1 or not all(map(_is_plain, names)):
        problem = "has names that are not plain paths in one folder"
    elif len({name.casefold() for name in names}) != len(names):
        problem = "has a name twice"
    elif any(info.flag_bits & _ENCRYPTED for info in infos):
        problem = "is encrypted"
    elif any(info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for info in infos):
        problem = "is compressed in a way that torch.jit.save does not use"
    elif sum(info.file_size for info in infos) > num_bytes + MAX_INFLATED_BYTES:
        problem = f"would unpack to more than {MAX_INFLATED_BYTES} bytes above its own"
    elif num_code_bytes > MAX_CODE_BYTES:
        problem = f"has {num_code_bytes} bytes of code, the limit is {MAX_CODE_BYTES}"
    else:
        return
    raise zipfile.BadZipFile(f"it {problem}")


def _is_plain(name: str) -> bool:
    parts = name.split("/")
    return len(parts) > 1 and all(part not in ("", ".", "..") for part in parts) and "\\" not in name
