"""Requests and answers of the protocol as JSON."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, SkipValidation

from service.api.schemas import Integer
from service.metadata import Metadata

Parameters = dict[str, Any]
Datatype = Literal["UINT8", "FP32"]

BINARY_EXTENSION = "binary_tensor_data"
PLATFORM = "pytorch_torchscript"
IMAGES, Z, MU, LOG_VAR = "images", "z", "mu", "log_var"
# What is made of each input.
OUTPUTS = {IMAGES: (MU, LOG_VAR), Z: (IMAGES,)}
MAX_OUTPUTS = max(map(len, OUTPUTS.values()))


class ServerMetadata(BaseModel):
    """The server, and which extensions of the protocol it knows."""

    name: str
    version: str
    extensions: list[str]


class TensorMetadata(BaseModel):
    """A tensor that a model takes or gives; -1 stands for any number of rows."""

    name: str
    datatype: Datatype
    shape: list[int]


class ModelMetadata(BaseModel):
    """A model. Of its inputs a request has one: images, which are not prepared further, or z."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ServerLive(BaseModel):
    """Whether the process should go on."""

    live: bool


class ServerReady(BaseModel):
    """Whether the server takes requests."""

    ready: bool


class ModelReady(BaseModel):
    """Whether a model takes requests."""

    name: str
    ready: bool


class InputTensor(BaseModel):
    """The tensor of a request, its numbers in `data` or as bytes after the JSON."""

    name: Literal["images", "z"]
    shape: Annotated[list[Integer], Field(min_length=2, max_length=4)]
    datatype: Datatype
    # Not validated here but as one array, in inference.py.
    data: SkipValidation[list[Any] | None] = Field(None, description="Row by row, flat or nested")
    parameters: Parameters = Field(
        {}, description="`binary_data_size`: the tensor is so many bytes after the JSON, little-endian"
    )


class RequestedOutput(BaseModel):
    """A tensor that is wanted."""

    name: str
    parameters: Parameters = Field({}, description="`binary_data`: whether as bytes after the JSON")


class InferenceRequest(BaseModel):
    """What is to be encoded or decoded."""

    id: str | None = Field(None, description="Comes back in the answer")
    inputs: Annotated[list[InputTensor], Field(min_length=1, max_length=1)]
    outputs: Annotated[list[RequestedOutput], Field(max_length=MAX_OUTPUTS)] | None = Field(
        None, description="Absent, all that are made of the input; each once"
    )
    parameters: Parameters = Field(
        {}, description="`binary_data_output`: whether outputs come as bytes unless they say otherwise"
    )


class OutputTensor(BaseModel):
    """A tensor of an answer, its numbers in `data` or as bytes after the JSON."""

    name: str
    datatype: Datatype
    shape: list[int]
    data: list[float] | None = None
    parameters: Parameters | None = Field(None, description="`binary_data_size`, where it is bytes")


class InferenceAnswer(BaseModel):
    """What came of it."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[OutputTensor]


class ProtocolError(BaseModel):
    """Every error under /v2."""

    error: str


ANSWERS = (InferenceAnswer, ModelMetadata, ModelReady, ProtocolError, ServerLive, ServerMetadata, ServerReady)


def tensors(metadata: Metadata) -> dict[str, TensorMetadata]:
    """The tensors of a model by name."""
    num_channels, height, width = metadata.image_shape
    latent = [-1, metadata.latent_dim]
    images = TensorMetadata(name=IMAGES, datatype="UINT8", shape=[-1, height, width, num_channels])
    return {
        IMAGES: images,
        **{name: TensorMetadata(name=name, datatype="FP32", shape=latent) for name in (Z, MU, LOG_VAR)},
    }


def example(latent_dim: int) -> dict[str, object]:
    """A request that decodes zeros."""
    tensor = {"name": Z, "shape": [1, latent_dim], "datatype": "FP32", "data": [0.0] * latent_dim}
    return {"inputs": [tensor]}
