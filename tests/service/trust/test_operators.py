"""What ordinary networks are made of is allowed; what reaches outside tensors is not."""

import io
import math
import re
from collections.abc import Callable

import pytest
import torch
import torchvision
from torch import Tensor, nn

from service.description import describe
from service.scripted import without_deprecation_warning
from service.settings import SHIPPED_CHECKPOINT
from service.trust.archive import Archive
from service.trust.operators import is_allowed
from service.trust.program import Program
from tests.planted import scripted

PLAIN_LAYERS = (
    "AlphaDropout BCELoss CELU Dropout Dropout2d ELU FeatureAlphaDropout Flatten GELU GLU Hardshrink"
    " Hardsigmoid Hardswish Hardtanh Identity KLDivLoss L1Loss LeakyReLU LogSigmoid LogSoftmax MSELoss"
    " Mish PReLU RReLU ReLU ReLU6 SELU SiLU Sigmoid Softmax Softmax2d Softmin Softplus Softshrink"
    " Softsign Tanh Tanhshrink"
)
LAYERS: dict[str, Callable[[], nn.Module]] = {
    **{name: getattr(nn, name) for name in PLAIN_LAYERS.split()},
    "BatchNorm1d": lambda: nn.BatchNorm1d(3),
    "BatchNorm2d": lambda: nn.BatchNorm2d(3),
    "Conv1d": lambda: nn.Conv1d(3, 4, 3),
    "Conv2d same": lambda: nn.Conv2d(3, 4, 3, padding="same"),
    "Conv2d reflect": lambda: nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"),
    "Conv2d circular": lambda: nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular"),
    "Conv3d": lambda: nn.Conv3d(3, 4, 3),
    "ConvTranspose1d": lambda: nn.ConvTranspose1d(3, 4, 3),
    "ConvTranspose2d": lambda: nn.ConvTranspose2d(3, 4, 3, output_padding=1, stride=2),
    "ConvTranspose3d": lambda: nn.ConvTranspose3d(3, 4, 3),
    "Bilinear": lambda: nn.Bilinear(3, 3, 3),
    "Linear": lambda: nn.Linear(3, 4),
    "Embedding": lambda: nn.Embedding(3, 4, max_norm=1.0),
    "GroupNorm": lambda: nn.GroupNorm(1, 3),
    "InstanceNorm2d": lambda: nn.InstanceNorm2d(3, affine=True, track_running_stats=True),
    "LayerNorm": lambda: nn.LayerNorm(3),
    "RMSNorm": lambda: nn.RMSNorm(3),
    "LocalResponseNorm": lambda: nn.LocalResponseNorm(2),
    "weight_norm": lambda: nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3)),
    "AvgPool2d": lambda: nn.AvgPool2d(2),
    "AdaptiveAvgPool2d": lambda: nn.AdaptiveAvgPool2d(1),
    "AdaptiveMaxPool2d": lambda: nn.AdaptiveMaxPool2d(1),
    "LPPool2d": lambda: nn.LPPool2d(2, 2),
    "MaxPool1d": lambda: nn.MaxPool1d(2),
    "MaxPool2d": lambda: nn.MaxPool2d(2, return_indices=True),
    "MaxPool3d": lambda: nn.MaxPool3d(2),
    "Fold": lambda: nn.Fold((4, 4), 2),
    "Unfold": lambda: nn.Unfold(2),
    "Unflatten": lambda: nn.Unflatten(1, (1, 3)),
    "ChannelShuffle": lambda: nn.ChannelShuffle(3),
    "PixelShuffle": lambda: nn.PixelShuffle(2),
    "PixelUnshuffle": lambda: nn.PixelUnshuffle(2),
    "ConstantPad2d": lambda: nn.ConstantPad2d(1, 0.5),
    "CircularPad2d": lambda: nn.CircularPad2d(1),
    "ReflectionPad2d": lambda: nn.ReflectionPad2d(1),
    "ReplicationPad2d": lambda: nn.ReplicationPad2d(1),
    "ZeroPad2d": lambda: nn.ZeroPad2d(1),
    "Upsample nearest": lambda: nn.Upsample(scale_factor=2),
    "Upsample bilinear": lambda: nn.Upsample(scale_factor=2, mode="bilinear"),
    "Upsample bicubic": lambda: nn.Upsample(size=(8, 8), mode="bicubic", align_corners=True),
    "GRU": lambda: nn.GRU(3, 4),
    "GRUCell": lambda: nn.GRUCell(3, 4),
    "LSTM": lambda: nn.LSTM(3, 4, batch_first=True),
    "LSTMCell": lambda: nn.LSTMCell(3, 4),
    "RNN": lambda: nn.RNN(3, 4),
    "MultiheadAttention": lambda: nn.MultiheadAttention(4, 2, batch_first=True),
    "TransformerEncoder": lambda: nn.TransformerEncoder(
        nn.TransformerEncoderLayer(4, 2, batch_first=True), 2
    ),
    "TransformerDecoderLayer": lambda: nn.TransformerDecoderLayer(4, 2),
    "CosineSimilarity": lambda: nn.CosineSimilarity(),
    "resnet18": lambda: torchvision.models.resnet18(),
    "convnext_tiny": lambda: torchvision.models.convnext_tiny(),
    "efficientnet_b0": lambda: torchvision.models.efficientnet_b0(),
    "mobilenet_v3_small": lambda: torchvision.models.mobilenet_v3_small(),
    "swin_t": lambda: torchvision.models.swin_t(),
    "VisionTransformer": lambda: torchvision.models.VisionTransformer(32, 16, 1, 2, 8, 16),
}


class Ordinary(nn.Module):
    """What people write between layers."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleDict({"from": nn.Linear(4, 4), "lambda": nn.Linear(4, 4)})
        self.names = ["small", "large"]
        self.scales = {"small": 1, "large": 2}
        self.anchors = [torch.ones(2)]
        self.scale: float | None = None
        self.register_buffer("grid", torch.linspace(-1, 1, 4))

    def forward(self, x: Tensor, mode: str = "it's \"#\\", sizes: tuple[int, float] = (1, -2.5)) -> Tensor:
        for part in self.parts.values():
            x = x + part(x)
        if mode in self.names:
            x = x * self.scales[mode]
        mu, log_var = x.chunk(2, dim=1)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * log_var)
        z = torch.einsum("bi,bj->bij", z, z).flatten(1) @ self.grid.new_ones(4, 2)
        z[:, 0] = 1.0
        for index, name in enumerate(self.names):
            z = z + index * len(name)
        scale = self.scale
        if scale is not None:
            z = z * scale
        assert z.shape[0] > 0, f"no rows in {z.shape}"
        largest = float(z.max().item())
        weights = [anchor * 2 for anchor in self.anchors]
        total: list[float] = []
        total.append(largest + math.sqrt(2.0))
        y = torch.where(z > 0.5, z, torch.stack(weights).sum() - z.clamp_(0, 1))
        y = y.mul(255).round().to(torch.uint8).permute(1, 0).reshape(-1).float()
        return torch.fft.rfft(y).abs() + torch.linalg.norm(y) + sum(total) + int(largest) // 2


TRACED: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "resnet18": (LAYERS["resnet18"], (1, 3, 32, 32)),
    "swin_t": (LAYERS["swin_t"], (1, 3, 32, 32)),
    "VisionTransformer": (LAYERS["VisionTransformer"], (1, 3, 32, 32)),
    "LSTM": (LAYERS["LSTM"], (2, 3, 3)),
    "Upsample bilinear": (LAYERS["Upsample bilinear"], (1, 3, 4, 4)),
}


def refused(module: torch.jit.ScriptModule) -> list[str]:
    """The operators of a module that no checkpoint may use; every check before that one is passed."""
    content = io.BytesIO()
    with without_deprecation_warning():
        torch.jit.save(module, content)
    program = Program(Archive.read(content.getvalue()))
    return [operator for operator in program.operators if not is_allowed(operator)]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", LAYERS)
def test_ordinary_layers_and_networks_are_allowed(name: str) -> None:
    assert refused(scripted(LAYERS[name]())) == []


def test_ordinary_code_is_allowed() -> None:
    assert refused(scripted(Ordinary())) == []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TRACED)
def test_traced_networks_are_allowed(name: str) -> None:
    module, shape = TRACED[name]
    traced = torch.jit.trace(module().eval(), torch.zeros(shape), check_trace=False)
    assert refused(traced) == []


def test_the_shipped_checkpoint_is_allowed() -> None:
    assert describe(SHIPPED_CHECKPOINT).refusal is None


@pytest.mark.parametrize(
    "operator",
    [
        "aten::from_file",
        "aten::save",
        "aten::_print",
        "aten::set_",
        "aten::set_data",
        "aten::resize_",
        "aten::_reshape_alias",
        "aten::_unsafe_index",
        "aten::manual_seed",
        "aten::set_grad_enabled",
        "aten::backward",
        "aten::wait",
        "aten::to_here",
        "aten::record_stream",
        "aten::cuda",
        "aten::quantize_per_tensor",
        "aten::unheard_of",
        "aten::",
        "prim::Print",
        "prim::PythonOp",
        "prim::fork",
        "prim::awaitable",
        "prim::rpc_async",
        "prim::id",
        "cuda::synchronize",
        "profiler::_record_function_enter",
        "quantized::linear",
        "c10d::broadcast_",
        "mkldnn::_linear_pointwise",
        "image::read_file",
        "torchvision::nms",
        "torch.classes.cuda.Stream",
        "add",
        "",
    ],
)
def test_what_reaches_outside_is_not_allowed_unless_it_is_named(operator: str) -> None:
    assert not is_allowed(operator)
    assert is_allowed(operator, [operator])
    assert not is_allowed(operator, ["aten::from", "aten"])


def test_no_allowed_operator_takes_a_file_a_stream_or_a_native_object() -> None:
    for schema in torch._C._jit_get_all_schemas():
        if is_allowed(schema.name):
            assert "filename" not in {argument.name for argument in schema.arguments}
            kinds = " ".join(str(argument.type) for argument in [*schema.arguments, *schema.returns])
            outside = "Storage|Stream|Future|Await|RRef|PyObject|Capsule|torch.classes"
            assert not re.search(outside, kinds), schema
