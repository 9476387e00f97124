"""The module as the service places it, both methods of it, without the service."""

import torch
from torch import Tensor

from service.checkpoint import Checkpoint
from service.vae.precision import Placed, Precision


class BareModule:
    """A checkpoint's two methods on a device in one precision, packed where the service packs."""

    def __init__(self, loaded: Checkpoint, device: torch.device, precision: Precision) -> None:
        is_packed = device.type == "cpu"
        self._encoder = Placed(loaded, device, precision, method="encode", is_packed=is_packed)
        self._decoder = Placed(loaded, device, precision, method="decode", is_packed=is_packed)

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """See VAEModule.encode."""
        return self._encoder.encode(images)

    def decode(self, z: Tensor) -> Tensor:
        """See VAEModule.decode."""
        return self._decoder.decode(z)
