"""Weights laid out for oneDNN once, when a checkpoint is loaded, and activations fused into their layer.

PyTorch's convolutions lay their weights out anew in each call, which costs small batches as much as the
arithmetic. Its own compiler avoids that with operators that take packed weights; here the same operators
are put into the frozen TorchScript graph. The function stays the same, on a CPU only.
"""

import re

import torch

Rule = tuple[str, str]

# Each layer: its arguments in aten's order, in oneDNN's order, and the operator that packs its weight from
# arguments of the latter.
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
PACKERS = {
    "mkldnn::_convolution_pointwise": ("_reorder_convolution_weight", 4),
    "mkldnn::_convolution_transpose_pointwise": ("_reorder_convolution_transpose_weight", 5),
    "mkldnn::_linear_pointwise": ("_reorder_linear_weight", 0),
}
# An activation: its operator, and its argument where it has one.
ACTIVATIONS = {"leaky_relu": "%slope", "relu": "", "none": ""}


def pack(frozen: torch.jit.ScriptModule, method: str) -> None:
    """Replace the convolutions and linear layers of a frozen module's method by packed ones, in place.

    Args:
        frozen: On the CPU, with its weights as constants, not yet run.
        method: Its name.

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
    for index, node in enumerate(node for node in list(graph.nodes()) if node.kind() in PACKERS):
        _pack_weight(frozen, graph, node, f"packed_{method}_{index}")
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


def _pack_weight(frozen: torch.jit.ScriptModule, graph: torch.Graph, node: torch.Node, name: str) -> None:
    """Give a layer its packed weight, kept as an attribute, since a packed tensor cannot be a constant."""
    packer, num_arguments = PACKERS[node.kind()]
    inputs = list(node.inputs())
    arguments = [value.toIValue() for value in inputs[3 : 3 + num_arguments]]
    packed = getattr(torch.ops.mkldnn, packer)(inputs[1].toIValue(), *arguments)
    tensor_type = torch._C.TensorType.get()
    frozen._c._register_attribute(name, tensor_type, packed)
    attribute = graph.create("prim::GetAttr", [next(graph.inputs())], 1)
    attribute.s_("name", name)
    attribute.output().setType(tensor_type)
    attribute.insertBefore(node)
    node.replaceInput(1, attribute.output())
