"""Weights laid out for oneDNN once, when a checkpoint is loaded, and activations fused into their layer.

PyTorch's convolutions lay their weights out anew in each call, which costs small batches as much as the
arithmetic. Its own compiler avoids that with operators that take packed weights; here the same operators
are put into the frozen TorchScript graph. The function stays the same, on a CPU only.

The best layout depends on the size of a layer's input. A layout for another size is laid out anew in each
call, slowly: with 96 or 192 channels that takes up to 50 times as long as the layer itself.
"""

import re

import torch
from torch import Tensor

Rule = tuple[str, str]

# Each layer: its arguments in aten's order, its packed form, and its arguments in the order of that.
LAYERS = {
    "conv2d": (
        "%stride, %padding, %dilation, %groups",
        "_convolution_pointwise",
        "%padding, %stride, %dilation, %groups",
    ),
    "conv_transpose2d": (
        "%stride, %padding, %output_padding, %groups, %dilation",
        "_convolution_transpose_pointwise",
        "%padding, %output_padding, %stride, %dilation, %groups",
    ),
    "linear": ("", "_linear_pointwise", ""),
}
# Each packed form: the operator that packs its weight, and how many of its arguments that takes.
PACKERS = {
    "mkldnn::_convolution_pointwise": ("_reorder_convolution_weight", 4),
    "mkldnn::_convolution_transpose_pointwise": ("_reorder_convolution_transpose_weight", 5),
    "mkldnn::_linear_pointwise": ("_reorder_linear_weight", 0),
}
# An activation: its operator, and its argument where it has one.
ACTIVATIONS = {"leaky_relu": "%slope", "relu": "", "none": ""}


def pack(frozen: torch.jit.ScriptModule, method: str, *, example: Tensor) -> None:
    """Replace the convolutions and linear layers of a frozen module's method by packed ones, in place.

    Args:
        frozen: On the CPU, with its weights as constants, not yet run.
        method: Its name.
        example: Its argument, of the size that matters most.

    Raises:
        RuntimeError: The graph has a layer that cannot be packed; the module must not be used.
        AttributeError: This build of PyTorch has no oneDNN.
    """
    graph = getattr(frozen, method).graph
    # A rewritten layer may be moved before a change in place of what it reads; most such changes can go.
    torch._C._jit_pass_remove_mutation(graph)
    mutations = [
        node.kind() for node in graph.nodes() if re.fullmatch(r"aten::[a-z]\w*[a-z0-9]_", node.kind())
    ]
    if mutations:
        raise RuntimeError(f"{mutations[0]} changes a tensor in place that is used again")
    for pattern, replacement in _rules():
        torch._C._jit_pass_custom_pattern_based_rewrite_graph(pattern, replacement, graph)
    sizes = _input_sizes(graph, example)
    for index, (node, size) in enumerate(zip(_layers(graph), sizes, strict=True)):
        _pack_weight(frozen, graph, node, size, f"packed_{method}_{index}")
    torch._C._jit_pass_dce(graph)


def _rules() -> list[Rule]:
    """Graph patterns and what replaces them: layers with an activation first, then those without."""
    return [_rule(layer, activation) for activation in ACTIVATIONS for layer in LAYERS]


def _rule(layer: str, activation: str) -> Rule:
    arguments, packed, packed_arguments = LAYERS[layer]
    scalar = ACTIVATIONS[activation]
    inputs = _joined("%input, %weight, %bias", arguments)
    graph = f"graph({_joined(inputs, scalar)}):"
    fused = activation != "none"
    pattern = f"""{graph}
        %linear = aten::{layer}({inputs})
        {f"%output = aten::{activation}({_joined('%linear', scalar)})" if fused else ""}
        return ({"%output" if fused else "%linear"})"""
    replacement = f"""{graph}
        %name : str = prim::Constant[value="{activation}"]()
        %algorithm : str = prim::Constant[value=""]()
        %scalars : Scalar?[] = prim::ListConstruct({scalar})
        %output = mkldnn::{packed}({
        _joined("%input, %weight, %bias", packed_arguments)
    }, %name, %scalars, %algorithm)
        return (%output)"""
    return pattern, replacement


def _joined(first: str, second: str) -> str:
    return f"{first}, {second}" if second else first


def _layers(graph: torch.Graph) -> list[torch.Node]:
    return [node for node in graph.nodes() if node.kind() in PACKERS]


def _input_sizes(graph: torch.Graph, example: Tensor) -> list[list[int]]:
    """The size of each layer's input, told by a run of a copy of the graph that returns these inputs."""
    probe = graph.copy()
    for _ in list(probe.outputs()):
        probe.eraseOutput(0)
    for node in _layers(probe):
        probe.registerOutput(next(node.inputs()))
    probe.makeMultiOutputIntoTuple()
    probe.eraseInput(0)  # the module itself, whose weights are constants
    inputs = torch._C._create_function_from_graph("probe", probe)(example)
    return [list(tensor.shape) for tensor in (inputs if isinstance(inputs, tuple) else (inputs,))]


def _pack_weight(
    frozen: torch.jit.ScriptModule, graph: torch.Graph, node: torch.Node, input_size: list[int], name: str
) -> None:
    """Give a layer its packed weight, kept as an attribute, since a packed tensor cannot be a constant."""
    packer, num_arguments = PACKERS[node.kind()]
    inputs = list(node.inputs())
    arguments = [value.toIValue() for value in inputs[3 : 3 + num_arguments]]
    sizes = [input_size] if num_arguments else []
    packed = getattr(torch.ops.mkldnn, packer)(inputs[1].toIValue(), *arguments, *sizes)
    tensor_type = torch._C.TensorType.get()
    frozen._c._register_attribute(name, tensor_type, packed)
    attribute = graph.create("prim::GetAttr", [next(graph.inputs())], 1)
    attribute.s_("name", name)
    attribute.output().setType(tensor_type)
    attribute.insertBefore(node)
    node.replaceInput(1, attribute.output())
