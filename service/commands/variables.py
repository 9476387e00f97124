"""Variables that are named like settings and are none: a slip in a name would otherwise pass in silence."""

import difflib
from collections.abc import Iterable

from service.settings import Settings

PREFIX = "VAE_"
SIMILAR = 0.8
# Kubernetes tells of a Service named vae-x by variables that begin with VAE_X_SERVICE_ and VAE_X_PORT.
TOLD_OF_SERVICES = ("_SERVICE_HOST", "_SERVICE_PORT", "_PORT")


def strange_variables(names: Iterable[str]) -> list[str]:
    """One sentence for each name of a variable that looks like a setting and is none.

    Args:
        names: Of all variables of the environment.
    """
    settings = {PREFIX + name.upper() for name in Settings.model_fields}
    names = sorted(name.upper() for name in names)
    services = [name.removesuffix("_SERVICE_HOST") for name in names if name.endswith("_SERVICE_HOST")]
    links = tuple(service + ending for service in services for ending in TOLD_OF_SERVICES)
    strange = [name for name in names if name.startswith(PREFIX) and name not in settings]
    return [_said(name, settings) for name in strange if not name.startswith(links)]


def _said(name: str, settings: Iterable[str]) -> str:
    similar = difflib.get_close_matches(name, settings, n=1, cutoff=SIMILAR)
    hint = f"did you mean {similar[0]}?" if similar else "`vae-service serve --help` lists them"
    return f"the variable {name} is set and is no setting; {hint}"
