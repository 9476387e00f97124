"""The shipped configuration of HAProxy and nginx, written to a folder with other addresses in it."""

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.live_server import ROOT

SHIPPED = ROOT / "docker"


class Name(NamedTuple):
    """The one name of all replicas, host:port, and the address of the name server that knows it."""

    name: str
    nameserver: str


def write_haproxy(
    folder: Path,
    replicas: Sequence[str] | Name,
    *,
    port: int,
    operations_port: int,
    edits: Mapping[str, str],
) -> list[str]:
    """Write HAProxy's files; the command that starts it."""
    shipped = SHIPPED / "haproxy"
    shutil.copytree(shipped / "errors", folder / "errors")
    addresses = {"-8080}": f"-{port}}}", "-8404}": f"-{operations_port}}}"}
    (folder / "haproxy.cfg").write_text(_edited(shipped / "haproxy.cfg", {**addresses, **edits}))
    if isinstance(replicas, Name):
        addresses = {"parse-resolv-conf": f"nameserver dns {replicas.nameserver}", "vae:8000": replicas.name}
        text = _edited(shipped / "replicas-dns.cfg", addresses)
    else:
        text = _with_servers(shipped / "replicas-static.cfg", replicas)
    (folder / "replicas.cfg").write_text(text)
    return ["haproxy", "-f", str(folder / "haproxy.cfg"), "-f", str(folder / "replicas.cfg")]


def write_nginx(
    folder: Path,
    replicas: Sequence[str] | Name,
    *,
    port: int,
    operations_port: int,
    edits: Mapping[str, str],
) -> list[str]:
    """Write nginx's files; the command that starts it."""
    shipped = SHIPPED / "nginx"
    addresses = {
        "listen 8080;": f"listen 127.0.0.1:{port};",
        "listen 8404;": f"listen 127.0.0.1:{operations_port};",
        " /tmp/": f" {folder}/",
    }
    (folder / "nginx.conf").write_text(_edited(shipped / "nginx.conf", {**addresses, **edits}))
    if isinstance(replicas, Name):
        addresses = {"resolver 127.0.0.11": f"resolver {replicas.nameserver}", "vae:8000": replicas.name}
        text = _edited(shipped / "replicas-dns.conf", addresses)
    else:
        text = _with_servers(shipped / "replicas.conf", replicas)
    (folder / "replicas.conf").write_text(text)
    return ["nginx", "-c", str(folder / "nginx.conf"), "-g", "daemon off;"]


def _edited(path: Path, edits: Mapping[str, str]) -> str:
    """A shipped file with some of its text exchanged."""
    text = path.read_text()
    for old, new in edits.items():
        assert old in text, f"{path.name} has no {old!r}"
        text = text.replace(old, new)
    return text


def _with_servers(path: Path, addresses: Sequence[str]) -> str:
    """A shipped list of replicas with others in it, each as the first is written."""
    text = path.read_text()
    first, *others = re.findall(r"^ +server .*\n", text, re.MULTILINE)
    lines = [
        first.replace("replica-1", f"replica-{number}").replace("127.0.0.1:8000", address)
        for number, address in enumerate(addresses, start=1)
    ]
    for line in others:
        text = text.replace(line, "")
    return text.replace(first, "".join(lines))
