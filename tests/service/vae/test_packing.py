"""Packed layers compute the same function, and the graph really has them."""

import pytest
import torch
from torch import Tensor, nn

from service.scripted import without_deprecation_warning
from service.vae.packing import pack

KINDS = ("convolution", "deconvolution", "inner_product", "matmul", "reorder")  # in oneDNN's log
EXAMPLES = {"encode": torch.zeros(4, 3, 9, 7), "decode": torch.zeros(4, 6)}


class Layers(nn.Module):
    """Each layer and activation that is packed, and one of either that is not."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.plain = nn.Conv2d(8, 8, 3, padding=1)
        self.up = nn.ConvTranspose2d(8, 4, 3, stride=2, padding=1, output_padding=1)
        self.norm = nn.GroupNorm(2, 4)
        self.linear = nn.Linear(6, 8 * 4 * 4)

    @torch.jit.export
    def encode(self, images: Tensor) -> Tensor:
        features = torch.relu(self.down(images.to(self.down.weight.dtype)))
        return torch.sigmoid(self.plain(features))

    @torch.jit.export
    def decode(self, z: Tensor) -> Tensor:
        features = self.linear(z.to(self.down.weight.dtype)).view(-1, 8, 4, 4)
        return self.norm(torch.nn.functional.leaky_relu(self.up(features), 0.2))


@pytest.fixture
def layers() -> Layers:
    torch.manual_seed(0)
    return Layers().eval().requires_grad_(False)


def packed(layers: Layers) -> torch.jit.ScriptModule:
    with without_deprecation_warning():
        module = torch.jit.freeze(torch.jit.script(layers), preserved_attrs=list(EXAMPLES))
    for method, example in EXAMPLES.items():
        pack(module, method, example=example)
    return module


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_packed_layers_compute_the_same(layers: Layers, batch_size: int) -> None:
    module = packed(layers)
    images, z = torch.randn(batch_size, 3, 9, 7), torch.randn(batch_size, 6)
    with torch.inference_mode():
        torch.testing.assert_close(module.encode(images), layers.encode(images))
        torch.testing.assert_close(module.decode(z), layers.decode(z))


def test_every_layer_is_packed_and_activations_are_fused(layers: Layers) -> None:
    module = packed(layers)
    kinds = [node.kind() for method in EXAMPLES for node in getattr(module, method).graph.nodes()]
    assert sorted(kind for kind in kinds if kind.startswith("mkldnn::")) == [
        "mkldnn::_convolution_pointwise",
        "mkldnn::_convolution_pointwise",
        "mkldnn::_convolution_transpose_pointwise",
        "mkldnn::_linear_pointwise",
    ]
    assert not {"aten::relu", "aten::leaky_relu"} & set(kinds)
    assert {"aten::sigmoid", "aten::group_norm"} <= set(kinds)


class Awkward(nn.Module):
    """What may trip a rewriter: no bias, groups, an activation in place, an output used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.no_bias = nn.Conv2d(3, 8, 3, bias=False)
        self.grouped = nn.Conv2d(8, 8, 3, groups=4)
        self.twice = nn.Conv2d(8, 4, 1)
        self.last = nn.Conv2d(4, 4, 1)
        self.in_place = nn.ReLU(inplace=True)

    @torch.jit.export
    def decode(self, images: Tensor) -> Tensor:
        features = self.twice(self.in_place(self.grouped(self.no_bias(images))))
        return self.last(features) + torch.nn.functional.leaky_relu(features, 0.1)


class InPlace(Awkward):
    """A change in place of something that is read before and after it."""

    @torch.jit.export
    def decode(self, images: Tensor) -> Tensor:
        features = self.twice(torch.relu(self.grouped(self.no_bias(images))))
        activated = torch.nn.functional.leaky_relu(features, 0.1)
        torch.nn.functional.relu_(features)
        return self.last(features) + activated


def scripted_and_frozen(layers: nn.Module) -> torch.jit.ScriptModule:
    with without_deprecation_warning():
        scripted = torch.jit.script(layers.eval().requires_grad_(False))
        return torch.jit.freeze(scripted, preserved_attrs=["decode"])


def test_awkward_graphs_compute_the_same() -> None:
    torch.manual_seed(0)
    awkward = Awkward()
    module = scripted_and_frozen(awkward)
    images = torch.randn(2, 3, 9, 9)
    pack(module, "decode", example=images)
    with torch.inference_mode():
        torch.testing.assert_close(module.decode(images), awkward.decode(images))


def test_a_graph_that_could_be_put_out_of_order_is_refused() -> None:
    with pytest.raises(RuntimeError, match="in place"):
        pack(scripted_and_frozen(InPlace()), "decode", example=torch.zeros(2, 3, 9, 9))


class Wide(nn.Module):
    """Numbers of channels whose best layout depends on the size of the image."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(48, 192, 3, padding=1)
        self.up = nn.ConvTranspose2d(192, 96, 3, stride=2, padding=1, output_padding=1)
        self.last = nn.Conv2d(96, 48, 1)

    @torch.jit.export
    def decode(self, images: Tensor) -> Tensor:
        features = self.up(torch.relu(self.first(images.contiguous(memory_format=torch.channels_last))))
        return self.last(features)


def test_no_weight_is_laid_out_anew_in_a_call(capfd: pytest.CaptureFixture[str]) -> None:
    module = scripted_and_frozen(Wide())
    images = torch.randn(4, 48, 4, 4)
    with torch.inference_mode():
        pack(module, "decode", example=images)
        module.decode(images)
        capfd.readouterr()
        with torch.backends.mkldnn.verbose(torch.backends.mkldnn.VERBOSE_ON):
            module.decode(images)
    lines = [line.split(",") for line in capfd.readouterr().out.splitlines() if ",exec," in line]
    kinds = [next(word for word in line if word in KINDS) for line in lines]
    assert kinds == ["convolution", "deconvolution", "convolution"]
