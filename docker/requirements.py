"""Write what pip is to install for an image in two files, torch.txt and others.txt, and the pinned versions.

python docker/requirements.py FOLDER            of the service
python docker/requirements.py FOLDER training   and of an extra

Torch is a layer of its own, which a change of anything else leaves as it is.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Torch brings the last three kinds itself, those of its own build.
OF_TORCH = re.compile(r"(torch|torchvision|triton|nvidia-[\w-]+|cuda-[\w-]+)\b")


def main(folder: str, *extras: str) -> None:
    """Read pyproject.toml and constraints.txt, and write the files."""
    pinned = (ROOT / "constraints.txt").read_text().splitlines()
    versions = {line.partition("==")[0].lower(): line for line in pinned if "==" in line}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"]]
    for extra in extras:
        wanted += project["optional-dependencies"][extra]
    with_torch = [requirement for requirement in wanted if OF_TORCH.match(requirement)]
    torch = [versions[re.split(r"[^\w-]", requirement)[0]] for requirement in with_torch]
    others = [requirement for requirement in wanted if requirement not in with_torch]
    constraints = [line for name, line in versions.items() if not OF_TORCH.fullmatch(name)]
    for name, lines in {"torch": torch, "others": others, "constraints": constraints}.items():
        (Path(folder) / f"{name}.txt").write_text("\n".join([*lines, ""]))


if __name__ == "__main__":
    main(*sys.argv[1:])
