"""Files that are written whole or not at all: an earlier one outlives kill -9, and a disk that is full."""

import os
import shutil
import tempfile
from pathlib import Path

MODE_OF_NEW_FILES = 0o644
UNFINISHED = ".*.part"  # what kill -9 leaves of a file


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Write a file that nobody ever sees half of, its folder made where there is none.

    One that is replaced keeps its mode; a device, such as /dev/stdout, is written to as it is.

    Raises:
        OSError: Naming the file; the earlier one of that name is as it was.
    """
    temporary = None
    try:
        if path.is_char_device() or path.is_fifo():
            path.write_bytes(content)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".part", delete=False) as file:
            temporary = Path(file.name)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, temporary)
        else:
            temporary.chmod(MODE_OF_NEW_FILES)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from None
