"""Arrays to the body of an answer: JSON, and after it the bytes of those tensors that come so."""

from collections.abc import Mapping

import numpy as np
import orjson

from service.api.answers import check_finite
from service.api.protocol.inference import DTYPES, Inference
from service.api.protocol.schemas import OUTPUTS, TensorMetadata
from service.vae.operations import Array, Arrays
from service.vae.runtime import Runtime


def render(
    runtime: Runtime,
    asked: Inference,
    known: Mapping[str, TensorMetadata],
    _: Array,
    outputs: Arrays,
) -> tuple[bytes, int | None]:
    """The body, and the length of its JSON where bytes follow it.

    Args:
        runtime: The model that answered.
        asked: What is to be answered.
        known: The tensors of the model.
        _: The inputs of the job.
        outputs: What the job gave.

    Raises:
        BadOutput: They are not finite.
    """
    results = dict(zip(OUTPUTS[asked.name], outputs, strict=True))
    described, tails = [], []
    for name, as_bytes in asked.outputs:
        datatype, values = known[name].datatype, results[name]
        check_finite(values)
        tensor: dict[str, object] = {"name": name, "datatype": datatype, "shape": values.shape}
        if as_bytes:
            tail = np.ascontiguousarray(values, DTYPES[datatype]).tobytes()
            tensor["parameters"] = {"binary_data_size": len(tail)}
            tails.append(tail)
        else:
            tensor["data"] = np.ascontiguousarray(values).reshape(-1)
        described.append(tensor)
    head: dict[str, object] = {"model_name": runtime.metadata.name, "model_version": runtime.version}
    if asked.id is not None:
        head["id"] = asked.id
    text = orjson.dumps({**head, "outputs": described}, option=orjson.OPT_SERIALIZE_NUMPY)
    return b"".join([text, *tails]), len(text) if tails else None
