"""What the methods of a module from elsewhere must be, told from their types, without running them."""

from collections.abc import Mapping

from service.trust.program import Method

TENSOR = "Tensor"
POSTERIORS = ("List[Tensor]", "Tuple[Tensor, Tensor]")
EXPORTING = (
    "export it with torch.jit.script and @torch.jit.export on encode and decode, or with"
    " torch.jit.trace_module(vae, {'encode': images, 'decode': z})"
)


def lacks(methods: Mapping[str, Method]) -> list[str]:
    """What keeps a module from being adopted, one sentence each; nothing where it may well be.

    Args:
        methods: Of the module, by name.
    """
    return [
        *_lacks("encode", methods, POSTERIORS, "[mu, log_var]"),
        *_lacks("decode", methods, (TENSOR,), "images"),
    ]


def _lacks(name: str, methods: Mapping[str, Method], kinds: tuple[str, ...], meaning: str) -> list[str]:
    if name not in methods:
        there = ", ".join(method.text for method in methods.values()) or "none"
        return [f"module.{name}: there is no such method, of the methods {there}; {EXPORTING}"]
    method = methods[name]
    if method.takes != (TENSOR,):
        return [f"module.{name}: is {method.text}; it must do with one tensor"]
    if method.gives not in kinds:
        return [f"module.{name}: is {method.text}; it must give {meaning} as {' or '.join(kinds)}"]
    return []
