"""The module that is exported: uint8 in, uint8 out, in whatever floating dtype its weights have.

Shapes: B batch, C channels, H height, W width, D latent size.
"""

import copy

import torch
from torch import Tensor, nn

from training.export.fast_form import fast_decoder, fast_encoder
from training.export.layers import flattened, with_batch_norm_folded
from training.models.vae import VAE


class ExportedVAE(nn.Module):
    """The three methods of the checkpoint's contract, scriptable.

    Args:
        encoder: Images (B, C, H, W) in levels of 0 to 255 -> mu and log_var side by side (B, 2 D).
        bound: log_var -> log_var within its limits.
        decoder: Latents (B, D) -> logits in blocks of pixels.
        out_of_blocks: Values in such blocks -> (B, C, H, W) of a dtype.
    """

    def __init__(
        self,
        *,
        encoder: nn.Module,
        bound: nn.Module,
        decoder: nn.Module,
        out_of_blocks: nn.Module,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.bound = bound
        self.decoder = decoder
        self.out_of_blocks = out_of_blocks
        self.dtype_of_weights: Tensor
        self.register_buffer("dtype_of_weights", torch.zeros(()))

    @torch.jit.export
    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior mu and log_var, float32 (B, D), of uint8 images (B, C, H, W)."""
        # Reordered while they are bytes: that moves the least memory.
        pixels = images.contiguous(memory_format=torch.channels_last).to(self.dtype_of_weights.dtype)
        posterior = self.encoder(pixels).to(torch.float32)
        mu, log_var = posterior.chunk(2, dim=1)
        return mu.contiguous(), self.bound(log_var.contiguous())

    @torch.jit.export
    def decode(self, z: Tensor) -> Tensor:
        """Images, uint8 (B, C, H, W), of latents (B, D)."""
        logits = self.decoder(z.to(self.dtype_of_weights.dtype)).to(torch.float32)
        images: Tensor = self.out_of_blocks(torch.sigmoid(logits).mul(255).round(), torch.uint8)
        return images

    @torch.jit.export
    def decode_logits(self, z: Tensor) -> Tensor:
        """Logits of the pixels' means, float32 (B, C, H, W), of latents (B, D)."""
        blocks = self.decoder(z.to(self.dtype_of_weights.dtype))
        logits: Tensor = self.out_of_blocks(blocks, torch.float32)
        return logits


def build_module(model: VAE) -> ExportedVAE:
    """The exported form of a trained network, which is not changed; both compute the same function."""
    model = copy.deepcopy(model).eval().cpu()
    encoder = [*flattened(model.encoder), _side_by_side(model.mu, model.log_var)]
    decoder = [model.decoder_input, *flattened(model.decoder)]
    # What the decoder unflattens has the shape of what the encoder flattens.
    (shape,) = (layer.unflattened_size for layer in decoder if isinstance(layer, nn.Unflatten))
    encoder = fast_encoder(with_batch_norm_folded(encoder), shape)
    decoder, out_of_blocks = fast_decoder(with_batch_norm_folded(decoder), model.image_shape)
    exported = ExportedVAE(
        encoder=nn.Sequential(*encoder),
        bound=model.bound,
        decoder=nn.Sequential(*decoder),
        out_of_blocks=out_of_blocks,
    )
    return exported.requires_grad_(False).eval().to(memory_format=torch.channels_last)


def _side_by_side(mu: nn.Linear, log_var: nn.Linear) -> nn.Linear:
    """Both heads as one Linear, (B, F) -> (B, 2 D)."""
    both = nn.Linear(mu.in_features, 2 * mu.out_features)
    both.weight = nn.Parameter(torch.cat([mu.weight, log_var.weight]))
    both.bias = nn.Parameter(torch.cat([mu.bias, log_var.bias]))
    return both
