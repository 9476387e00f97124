"""The sections on ways through the latent space: along single units, and from one image to another.

Shapes: N images, D latent size.
"""

import torch
from torch import Tensor

from service.interpolation import Mode, interpolate
from training.data.splits import evenly_spaced
from training.report.figures import readable
from training.report.latents import traversal
from training.report.network import Network, Observations
from training.report.pictures import picture
from training.report.section import Panel, Section

NUM_TRAVERSED_UNITS = 8
DEVIATIONS = (-3, -2, -1, 0, 1, 2, 3)
NUM_INTERPOLATIONS = 3
NUM_STEPS = 9
MODES: dict[str, Mode] = {"linear": "linear", "spherical": "slerp"}


def traversal_section(network: Network, observations: Observations, *, is_autoencoder: bool) -> Section:
    """The units that tell most, one a row, all others being those of one image."""
    # An autoencoder's log_var is the same everywhere, so that this is the order of its mean squares too.
    units = observations.unit_kl.argsort(descending=True, stable=True)[:NUM_TRAVERSED_UNITS].tolist()
    typical = int(observations.mse.argsort(stable=True)[len(observations.mse) // 2])
    rows = traversals(observations, units=units, start=typical)
    below = tuple(f"{step:+d} sd".replace("-", "\N{MINUS SIGN}") if step else "mean" for step in DEVIATIONS)
    panels = [
        Panel(
            f"traversal-{rank}",
            picture(network.decode(row), columns=len(row)),
            f"Unit {unit} from 3 standard deviations below its mean to 3 above, all other units unchanged.",
            f"Unit {unit}"
            if is_autoencoder
            else f"Unit {unit}: KL {readable(float(observations.unit_kl[unit]))} nats",
            columns=len(row),
            values=below if rank == len(units) else (),
        )
        for rank, (unit, row) in enumerate(zip(units, rows, strict=True), start=1)
    ]
    text = (
        "Along each row one unit changes, from three standard deviations below its mean over all images to "
        "three above. All others stay as they are in the image on top, the one of median error. The units "
        "that tell most come first."
    )
    start = _start(observations, typical)
    return Section("traversals", "What single units do", text, (start, *panels), layout="rows")


def traversals(observations: Observations, *, units: list[int], start: int) -> list[Tensor]:
    """For each unit the latents of one row, (7, D): those of the image `start`, but for that unit."""
    mean, deviation = observations.mu.mean(dim=0), observations.deviation
    steps = torch.tensor(DEVIATIONS)
    return [
        traversal(observations.mu[start], unit=unit, values=mean[unit] + steps * deviation[unit])
        for unit in units
    ]


def interpolation_section(network: Network, observations: Observations) -> Section:
    """From one image to another, along a straight line and along an arc."""
    num_pairs = min(NUM_INTERPOLATIONS, len(observations.images) // 2)
    chosen = evenly_spaced(len(observations.images), 2 * num_pairs)
    panels = [
        _path(
            name,
            network.decode(_steps(*observations.mu[pair], mode=mode)),
            observations.images[pair],
            number,
        )
        for number, pair in enumerate(chosen.view(num_pairs, 2), start=1)
        for name, mode in MODES.items()
    ]
    text = (
        "The outermost images are real; between them their latents are mixed in equal steps, along the "
        "straight line and along the arc that keeps its distance from the origin (White 2016)."
    )
    if not panels:
        text = "There are none: it takes two validation images."
    return Section("interpolations", "From one image to another", text, tuple(panels), layout="rows")


def _steps(start: Tensor, end: Tensor, *, mode: Mode) -> Tensor:
    z, _ = interpolate(start.numpy(), end.numpy(), num_steps=NUM_STEPS, mode=mode)
    return torch.from_numpy(z)


def _start(observations: Observations, index: int) -> Panel:
    own = torch.stack([observations.images[index], observations.reconstructions[index]])
    return Panel(
        "traversal-0",
        picture(own, columns=2),
        "The image that all rows start from, and its reconstruction.",
        "An image and its reconstruction",
        columns=2,
    )


def _path(name: str, decoded: Tensor, ends: Tensor, number: int) -> Panel:
    row = torch.cat([ends[:1], decoded, ends[1:]])
    return Panel(
        f"interpolation-{number}-{name}",
        picture(row, columns=len(row)),
        f"{len(decoded)} decoded steps of the {name} path between the two validation images at its ends.",
        f"Pair {number}, {name}",
        columns=len(row),
    )
