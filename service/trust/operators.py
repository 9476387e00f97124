"""Which operators the methods of a checkpoint may use: tensor arithmetic and what goes with it.

Told by name, and by a list of what is allowed: an operator that nobody thought of is refused. What reads or
writes files, prints, sets global state, starts threads or calls Python is not on it.
"""

from collections.abc import Collection

_FAMILIES = ("aten::fft_", "aten::linalg_", "aten::special_")

# Names of operators by what they do. One with `_` at the end, which works in place, is allowed where the name
# without it is. `warn` is here since PyTorch's own layers warn of deprecated arguments.
_ATEN = {
    "element by element": (
        "abs absolute acos acosh add addcdiv addcmul angle asin asinh atan atan2 atanh arccos arccosh"
        " arcsin arcsinh arctan arctan2 arctanh ceil clamp clamp_max clamp_min clip copysign cos cosh"
        " deg2rad degrees digamma div divide erf erfc erfinv exp exp2 expm1 fabs fix float_power floor"
        " floor_divide fmax fmin fmod frac gamma heaviside hypot i0 ldexp lerp lgamma log log10 log1p log2"
        " logaddexp logaddexp2 logit maximum minimum mul multiply nan_to_num neg negative polar positive pow"
        " rad2deg radians real imag reciprocal remainder round rsqrt rsub sgn sigmoid sign signbit sin sinc"
        " sinh sqrt square sub subtract tan tanh true_divide trunc xlogy"
    ),
    "activations": (
        "celu elu gelu glu hardshrink hardsigmoid hardswish hardtanh leaky_relu log_sigmoid log_softmax"
        " mish prelu relu relu6 rrelu selu silu softmax softplus softshrink threshold"
    ),
    "comparisons and logic, of tensors and of numbers": (
        "all allclose any bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift"
        " bitwise_xor eq equal ge greater greater_equal gt isclose isfinite isin isinf isnan isneginf"
        " isposinf isreal le less less_equal logical_and logical_not logical_or logical_xor lt masked_fill"
        " masked_scatter masked_select ne not_equal where __and__ __iand__ __ior__ __ixor__ __lshift__"
        " __or__ __rshift__ __xor__ __is__ __isnot__ __not__ __contains__"
    ),
    "sums and statistics": (
        "amax amin aminmax argmax argmin bincount count_nonzero cummax cummin cumprod cumsum diff dist"
        " frobenius_norm histc kthvalue logcumsumexp logsumexp max mean median min mode nanmean nanmedian"
        " nansum norm nuclear_norm prod quantile nanquantile renorm searchsorted bucketize sort argsort"
        " msort std std_mean sum sum_to_size topk trace unique_consecutive unique_dim _unique2 var var_mean"
    ),
    "matrices": (
        "addbmm addmm addmv addr baddbmm bilinear bmm cdist chain_matmul cholesky_inverse cholesky_solve"
        " cross det dot einsum ger inner inverse kron linear logdet matmul matrix_exp matrix_power mm mv"
        " outer pinverse slogdet svd tensordot triangular_solve vdot _trilinear _weight_norm"
    ),
    "convolutions, attention and recurrence": (
        "conv1d conv2d conv3d conv_tbc conv_transpose1d conv_transpose2d conv_transpose3d convolution"
        " _convolution _convolution_mode scaled_dot_product_attention _native_multi_head_attention"
        " _transformer_encoder_layer_fwd _nested_tensor_from_mask _nested_tensor_from_mask_left_aligned"
        " to_padded_tensor gru gru_cell lstm lstm_cell rnn_relu rnn_relu_cell rnn_tanh rnn_tanh_cell"
    ),
    "norms and dropout": (
        "alpha_dropout batch_norm dropout feature_alpha_dropout feature_dropout group_norm instance_norm"
        " layer_norm rms_norm"
    ),
    "pooling, sampling and padding": (
        "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d"
        " adaptive_max_pool2d adaptive_max_pool3d affine_grid_generator avg_pool1d avg_pool2d avg_pool3d"
        " channel_shuffle col2im constant_pad_nd grid_sampler im2col max_pool1d max_pool1d_with_indices"
        " max_pool2d max_pool2d_with_indices max_pool3d max_pool3d_with_indices max_unpool2d max_unpool3d"
        " pad pixel_shuffle pixel_unshuffle reflection_pad1d reflection_pad2d reflection_pad3d"
        " replication_pad1d replication_pad2d replication_pad3d upsample_bicubic2d upsample_bilinear2d"
        " upsample_linear1d upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_trilinear3d"
        " _upsample_bicubic2d_aa _upsample_bilinear2d_aa _upsample_lanczos2d_aa _upsample_nearest_exact1d"
        " _upsample_nearest_exact2d _upsample_nearest_exact3d __interpolate __upsample __upsample_bilinear"
        " __upsample_nearest"
    ),
    "shapes and views": (
        "adjoint alias as_strided atleast_1d atleast_2d atleast_3d block_diag broadcast_shapes"
        " broadcast_tensors broadcast_to cartesian_prod cat chunk clone column_stack combinations concat"
        " concatenate contiguous detach diag diag_embed diagflat diagonal diagonal_scatter dsplit dstack"
        " expand expand_as fill_diagonal_ flatten flip fliplr flipud hsplit hstack lift_fresh mH mT matrix_H"
        " meshgrid moveaxis movedim narrow numpy_T permute ravel repeat repeat_interleave reshape reshape_as"
        " resolve_conj resolve_neg roll rot90 row_stack select select_scatter slice slice_scatter split"
        " split_with_sizes squeeze stack swapaxes swapdims t tensor_split tile transpose tril triu unbind"
        " unflatten unfold unsafe_chunk unsafe_split unsqueeze view view_as view_as_complex view_as_real"
        " vsplit vstack"
    ),
    "picking and placing": (
        "embedding gather index index_add index_copy index_fill index_put index_reduce index_select nonzero"
        " nonzero_numpy one_hot put scatter scatter_add scatter_reduce take take_along_dim"
    ),
    "new tensors and conversions": (
        "arange as_tensor bartlett_window blackman_window complex conj conj_physical copy cpu empty"
        " empty_like empty_permuted eye fill full full_like hamming_window hann_window item kaiser_window"
        " linspace logspace new_empty new_full new_ones new_zeros ones ones_like result_type scalar_tensor"
        " tensor to tril_indices triu_indices type_as vander zero zeros zeros_like istft stft"
    ),
    "random numbers": (
        "bernoulli cauchy exponential geometric log_normal multinomial normal poisson rand rand_like"
        " randint randint_like randn randn_like random randperm uniform"
    ),
    "losses": (
        "binary_cross_entropy binary_cross_entropy_with_logits cosine_similarity cross_entropy_loss"
        " huber_loss kl_div l1_loss mse_loss nll_loss nll_loss2d nll_loss_nd pairwise_distance"
        " poisson_nll_loss smooth_l1_loss"
    ),
    "what is known of a tensor": (
        "dense_dim device dim element_size get_device is_complex is_conj is_contiguous is_floating_point"
        " is_inference is_leaf is_neg is_nonzero is_same_size is_signed numel requires_grad_ size"
        " storage_offset stride"
    ),
    "numbers, text, lists and dicts": (
        "Bool Complex ComplexImplicit Delete Float FloatImplicit Int IntImplicit ScalarImplicit Size append"
        " clear count dict divmod endswith extend find floordiv format get index insert"
        " is_autocast_cpu_enabled is_autocast_enabled is_grad_enabled is_scripting items join keys len list"
        " lower mathremainder ord pop popitem range remove replace reverse setdefault sorted startswith"
        " strip str update upper values warn __derive_index __getitem__ __range_length"
        " __round_to_zero_floordiv _set_item _unwrap_optional _list_to_tensor _tensor_to_list _infer_size"
        " _get_tracing_state _is_tracing has_torch_function"
    ),
}
_PRIM = {
    "control and data of the language": (
        "CallFunction CallMethod Constant ConstantChunk CreateObject DictConstruct Enter EnumName EnumValue"
        " Exit GetAttr If ListConstruct ListUnpack Loop ModuleContainerIndex NumToTensor RaiseException"
        " SetAttr StringIndex TupleConstruct TupleIndex TupleSlice TupleUnpack Uninitialized"
    ),
    "what is known of a tensor or a number": (
        "abs data device dtype index is_cpu is_cuda is_meta is_mkldnn is_mps is_nested is_quantized"
        " is_sparse is_sparse_csr is_xla is_xpu isinstance itemsize layout max min nbytes rangelist"
        " requires_grad tolist type unchecked_cast unchecked_unwrap_optional"
    ),
}
_NAMES = frozenset(
    f"{namespace}::{name}"
    for namespace, groups in {"aten": _ATEN, "prim": _PRIM}.items()
    for names in groups.values()
    for name in names.split()
)
_REASONS = {
    "aten::from_file": "it reads and writes files",
    "aten::save": "it writes files",
    "aten::_print": "it prints",
    "prim::Print": "it prints",
    "aten::set_grad_enabled": "it sets global state",
    "aten::manual_seed": "it sets global state",
    "aten::seed": "it sets global state",
    "prim::fork": "it starts threads",
    "aten::wait": "it waits for threads",
    "prim::PythonOp": "it calls Python",
}


def is_allowed(operator: str, allowed_operators: Collection[str] = ()) -> bool:
    """Whether a checkpoint may use an operator, such as "aten::add"; `allowed_operators` are further ones."""
    return (
        operator in allowed_operators
        or operator in _NAMES
        or (operator.endswith("_") and operator[:-1] in _NAMES)
        or operator.startswith(_FAMILIES)
    )


def reason(operator: str) -> str:
    """Why an operator is not allowed, in a few words."""
    return _REASONS.get(operator, "it is not on the list of tensor arithmetic")
