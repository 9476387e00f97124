"""The section on the latent space: where the images lie in it, and how much each unit tells.

Shapes: N images, D latent size.
"""

from training.report.charts import scatter_chart, unit_chart
from training.report.classes import Classes
from training.report.figures import readable
from training.report.latents import manifold, principal_plane
from training.report.network import Network, Observations
from training.report.pictures import mosaic
from training.report.section import Panel, Section

MANIFOLD_PIXELS = 640
MAX_MANIFOLD_SIDE = 20
MIN_MANIFOLD_SIDE = 8


def latent_section(
    network: Network, observations: Observations, *, classes: Classes | None, is_autoencoder: bool
) -> Section:
    """The means in a plane, that plane's images where the latent has two units, and bars of the units."""
    num_images, latent_dim = observations.mu.shape
    panels = []
    if latent_dim == 2:
        panels.append(_manifold(network))
    if latent_dim >= 2 and num_images >= 2:
        panels.append(_plane(observations, classes))
    panels.append(_variance_bars(observations) if is_autoencoder else _kl_bars(observations))
    text = f"{num_images} images in {latent_dim} latent units: mu is the mean of an image's posterior."
    return Section("latent-space", "Latent space", text, tuple(panels), layout="halves")


def manifold_side(height: int, width: int) -> int:
    """Images a side of the manifold's picture, so that it is about 640 pixels large."""
    return min(MAX_MANIFOLD_SIDE, max(MIN_MANIFOLD_SIDE, MANIFOLD_PIXELS // max(height, width)))


def _manifold(network: Network) -> Panel:
    _, height, width = network.image_shape
    side = manifold_side(height, width)
    return Panel(
        "manifold",
        mosaic(network.decode(manifold(side))),
        f"{side} by {side} images decoded from a grid over the plane of the two latent units.",
        "The learned manifold: z1 grows to the right, z2 upwards, in steps of equal probability under the "
        "standard normal (Kingma & Welling 2014, figure 4).",
    )


def _plane(observations: Observations, classes: Classes | None) -> Panel:
    latent_dim = observations.mu.shape[1]
    if latent_dim == 2:
        title, points, axes = "Means of the posteriors", observations.mu, ("mu 1", "mu 2")
        caption = "their mu"
    else:
        points, shares = principal_plane(observations.mu)
        first, second = (f"{share:.0%} of the variance" for share in shares.tolist())
        title, axes = "Means of the posteriors (PCA)", (first, second)
        caption = f"their mu, {latent_dim} units projected on the plane of largest variance (PCA)"
    chart = scatter_chart(title, points, axis_labels=axes, classes=classes)
    by = "" if classes is None else f", coloured by {', '.join(classes.names)}"
    return Panel(
        "latent-plane", chart, f"Scatter of the images by {caption}{by}.", f"Where the images lie: {caption}."
    )


def _kl_bars(observations: Observations) -> Panel:
    kl, num_active = observations.unit_kl, int(observations.active.sum())
    chart = unit_chart(
        "KL divergence of each latent unit", "nats an image", values=kl, active=observations.active
    )
    return Panel(
        "latent-units",
        chart,
        f"Bars of the KL divergence of {len(kl)} latent units, the largest first, from "
        f"{readable(float(kl.max()))} to {readable(float(kl.min()))} nats; {num_active} are active.",
        f"What each unit tells of an image; the sum is the rate, {readable(float(kl.sum()))} nats. "
        f"{num_active} of {len(kl)} are active: their mean varies between images, Var(mu) > 0.01.",
    )


def _variance_bars(observations: Observations) -> Panel:
    variance, num_active = observations.variance, int(observations.active.sum())
    chart = unit_chart("Variance of each latent unit", "Var(mu)", values=variance, active=observations.active)
    return Panel(
        "latent-units",
        chart,
        f"Bars of the variance of {len(variance)} latent units over the images, the largest first; "
        f"{num_active} are active.",
        "An autoencoder's units have no KL divergence; this is how much each varies between images. "
        f"{num_active} of {len(variance)} are active: Var(mu) > 0.01.",
    )
