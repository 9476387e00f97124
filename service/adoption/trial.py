"""What a module from elsewhere does with zeros and noise: the form of its images and latents, by trying.

Shapes: B batch, C channels, H height, W width, D latent size.
"""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from service.adoption.module import Form, PixelRange
from service.errors import CannotAdopt
from service.scripted import RUN_ERRORS, last_line

NUM_TRIED = 32
MAX_CHANNELS = 4
# The ranges that networks end in: a sigmoid's and a hyperbolic tangent's. Values below 0 that stay above the
# middle of the lower half may as well be those of a network without either, trained on [0, 1].
UNIT: PixelRange = (0.0, 1.0)
SYMMETRIC: PixelRange = (-1.0, 1.0)
CLEARLY_NEGATIVE = -0.5


class Trial:
    """Runs the methods of a module; what goes wrong is one sentence.

    Args:
        module: Its code has been checked; see service.trust.
    """

    def __init__(self, module: torch.jit.ScriptModule) -> None:
        self._module = module

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """What should be mu and log_var, of images (B, C, H, W) or (B, C H W).

        Raises:
            CannotAdopt: It fails, or gives something else than two tensors of one shape, B rows each.
        """
        posterior = self._run("encode", images)
        shapes = [tuple(part.shape) for part in posterior]
        if len(shapes) != 2 or shapes[0] != shapes[1] or len(shapes[0]) < 2 or shapes[0][0] != len(images):
            problem = f"module.encode gives {_shown(shapes)} for {_shown([images.shape])}"
            raise CannotAdopt(f"{problem}; mu and log_var of one shape were expected, one row an image")
        return posterior[0], posterior[1]

    def decode(self, z: Tensor) -> Tensor:
        """What should be images, of latents (B, ...).

        Raises:
            CannotAdopt: It fails, or gives something else than finite numbers, B rows.
        """
        images: Tensor = self._run("decode", z)
        if images.ndim < 2 or len(images) != len(z):
            raise CannotAdopt(f"module.decode gives {_shown([images.shape])} for {_shown([z.shape])}")
        if not images.isfinite().all():
            raise CannotAdopt("module.decode gives numbers that are not finite")
        return images

    def _run(self, name: str, rows: Tensor) -> Tensor:
        """Whatever a method gives, typed as what both have: they can be indexed and counted."""
        method = getattr(self._module, name)
        try:
            with torch.inference_mode():
                answer: Tensor = method(rows)
        except RUN_ERRORS as error:
            problem = f"module.{name} fails on {_shown([rows.shape])}: {last_line(error)}"
            hint = "; a traced module must take any number of rows" if _takes_one(method, rows) else ""
            raise CannotAdopt(f"{problem}{hint}") from error
        return answer


def find_form(
    module: torch.jit.ScriptModule,
    *,
    image_shape: tuple[int, int, int] | None = None,
    latent_dim: int | None = None,
    pixel_range: PixelRange | None = None,
) -> Form:
    """Find out the form of a module's images and latents; what is given is checked and not searched.

    Args:
        module: From elsewhere, its methods being such as adoption.methods asks for.
        image_shape: (C, H, W).
        latent_dim: D.
        pixel_range: What black and white are to it.

    Raises:
        CannotAdopt: It has no such form, or one of the three must be said by the person who has the file.
    """
    trial = Trial(module)
    image_shape = image_shape or _found_image_shape(trial, latent_dim or _sizes(module))
    takes_rows, latent_shape = _found_latent_shape(trial, image_shape)
    if latent_dim not in (None, math.prod(latent_shape)):
        raise CannotAdopt(f"module.encode gives latents of {_shown([latent_shape])}, not of {latent_dim}")
    noise = torch.randn(NUM_TRIED, *latent_shape, generator=torch.Generator().manual_seed(0))
    images = trial.decode(noise)
    found_shape = tuple(images.shape[1:])
    if found_shape not in (image_shape, (math.prod(image_shape),)):
        expected = f"--image-shape {' '.join(map(str, image_shape))}"
        raise CannotAdopt(f"module.decode gives images of {_shown([found_shape])}, not of {expected}")
    if images.dtype == torch.uint8:
        trial.encode(images.reshape(NUM_TRIED, *image_shape))
        return Form(image_shape, latent_shape, takes_rows=False, pixel_range=None)
    return Form(image_shape, latent_shape, takes_rows, pixel_range or _found_range(images))


def _takes_one(method: Callable[[Tensor], object], rows: Tensor) -> bool:
    try:
        with torch.inference_mode():
            method(rows[:1])
    except RUN_ERRORS:
        return False
    return len(rows) > 1


def _found_latent_shape(trial: Trial, image_shape: tuple[int, int, int]) -> tuple[bool, tuple[int, ...]]:
    """Whether encode takes images as rows, and the shape of what it gives for one."""
    images = torch.zeros(2, *image_shape)
    try:
        return False, tuple(trial.encode(images)[0].shape[1:])
    except CannotAdopt as error:
        first = error
    try:
        return True, tuple(trial.encode(images.flatten(1))[0].shape[1:])
    except CannotAdopt:
        raise CannotAdopt(f"{first}; say another size with --image-shape C H W") from first


def _found_image_shape(trial: Trial, latent_dim: int | set[int]) -> tuple[int, int, int]:
    """The one shape of images that decode gives and encode takes, whichever of these sizes latents have."""
    sizes = {latent_dim} if isinstance(latent_dim, int) else latent_dim
    shapes = {shape for size in sorted(sizes) for shape in _agreed_shapes(trial, size)}
    if len(shapes) != 1:
        raise CannotAdopt("the size of its images cannot be found out: say it with --image-shape C H W")
    return shapes.pop()


def _agreed_shapes(trial: Trial, latent_dim: int) -> Iterator[tuple[int, int, int]]:
    """The shape of what latents of a size decode to, where images of that shape encode to such latents."""
    try:
        _, *shape = trial.decode(torch.zeros(1, latent_dim)).shape
        if len(shape) == 3 and shape[0] <= MAX_CHANNELS:
            mu, _ = trial.encode(torch.zeros(1, *shape))
            if mu.shape == (1, latent_dim):
                yield shape[0], shape[1], shape[2]
    except CannotAdopt:
        return


def _sizes(module: torch.jit.ScriptModule) -> set[int]:
    """Every size that its weights have: the size of its latents is among them."""
    return {size for weight in module.parameters() for size in weight.shape}


def _found_range(images: Tensor) -> PixelRange:
    low, high = float(images.min()), float(images.max())
    if low >= UNIT[0] and high <= UNIT[1]:
        return UNIT
    if SYMMETRIC[0] <= low <= CLEARLY_NEGATIVE and high <= SYMMETRIC[1]:
        return SYMMETRIC
    problem = f"module.decode gives values from {low:.3g} to {high:.3g}, which is neither 0 to 1 nor -1 to 1"
    raise CannotAdopt(f"{problem}: say what black and white are with --pixel-range BLACK WHITE")


def _shown(shapes: "list[tuple[int, ...] | torch.Size]") -> str:
    return " and ".join("x".join(map(str, shape)) or "one number" for shape in shapes) or "nothing"
