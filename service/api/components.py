"""What OpenAPI's routes share: schemas with the limits of this server, headers, and how a key is sent."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from service.api.descriptions import Health, ModelDescription, ModelsAnswer
from service.api.protocol import schemas as protocol
from service.api.schemas import (
    MODEL_DESCRIPTION,
    DecodeRequest,
    EncodeAnswer,
    ImagesAnswer,
    Problem,
    ReconstructOptions,
    SampleRequest,
    ScoresAnswer,
    interpolate_bodies,
)
from service.vae.noise import MAX_SEED

Extra = dict[str, Any]

BINARY = {"type": "string", "format": "binary"}
BASE64 = {"type": "string", "format": "byte", "description": "A picture file, base64 or a data URI"}
MODEL_NAME = {"type": "string", "description": MODEL_DESCRIPTION}
# Fields of bodies that stand in the query where there is no such body: of a GET, of an array.
PARAMETERS = {
    "SampleRequest": ("n", "seed", "temperature", "prior", "output_format", "return_z"),
    "InterpolateRequest": ("steps", "mode"),
    "MultipartReconstruct": ("return_input",),
}
MAX_FLOAT32 = float(np.finfo(np.float32).max)


def _header(
    description: str, kind: str = "string", *, is_always_there: bool = True, **schema: object
) -> Extra:
    return {"description": description, "required": is_always_there, "schema": {"type": kind, **schema}}


HEADERS: Mapping[str, Extra] = {
    "X-Request-ID": _header("The one that was sent, or a new one; it is in the log"),
    "X-Model-Version": _header("The first 12 digits of the checkpoint's SHA-256"),
    "Server-Timing": _header("Milliseconds in the queue, on the device, and for image files"),
    "X-Seed": _header("Makes the same images again", "integer", minimum=0),
    "ETag": _header("Of an answer that never changes, weak for JSON", is_always_there=False),
    "X-Layout": _header("`grid` where a PNG holds several images", is_always_there=False, enum=["grid"]),
    "Inference-Header-Content-Length": _header(
        "Bytes of the JSON, where those of tensors follow it", "integer", is_always_there=False, minimum=0
    ),
    "Retry-After": _header("Seconds until another attempt is worthwhile", "integer", minimum=1),
    "WWW-Authenticate": _header("How a key is sent", enum=["Bearer"]),
}
SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key of this server"},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same key, otherwise"},
}


def reference(model: type[BaseModel] | str) -> Extra:
    """A schema by its name."""
    return {"$ref": f"#/components/schemas/{model if isinstance(model, str) else model.__name__}"}


def headers(*names: str) -> Extra:
    """Headers of an answer by their names, beside those that every answer has."""
    return {
        name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-ID", "X-Model-Version", *names)
    }


def components(
    sample_request: type[SampleRequest], latent_dim: int | None, max_images: int, *, has_fitted_prior: bool
) -> Extra:
    """Everything that the routes refer to.

    Args:
        sample_request: With this server's limits.
        latent_dim: Of the models, None where they differ in it.
        max_images: In a request.
        has_fitted_prior: Whether any of the models can draw from one.
    """
    interpolate_request, interpolate_options = interpolate_bodies(max_images)
    schemas = {
        **_schemas([sample_request, DecodeRequest, interpolate_request], "validation"),
        **_schemas([ImagesAnswer, EncodeAnswer, ScoresAnswer, Problem], "validation"),
        **_schemas([Health, ModelDescription, ModelsAnswer], "serialization"),
        **_schemas([protocol.InferenceRequest], "validation"),
        **_schemas(protocol.ANSWERS, "serialization"),
        **_uploads("Images", (1, max_images)),
        **_uploads("Reconstruct", (1, max_images), ReconstructOptions),
        **_uploads("Ends", (2, 2), interpolate_options),
    }
    for form in ("Multipart", "Base64"):
        schemas[f"{form}Ends"]["additionalProperties"] = False
    row: Extra = {
        "type": "array",
        "items": {"type": "number", "minimum": -MAX_FLOAT32, "maximum": MAX_FLOAT32},
    }
    if latent_dim is not None:
        row.update(minItems=latent_dim, maxItems=latent_dim)
    schemas["DecodeRequest"]["properties"]["z"].update(items=row, minItems=1, maxItems=max_images)
    if not has_fitted_prior:
        for body in ("SampleRequest", "InterpolateRequest"):
            schemas[body]["properties"]["prior"]["anyOf"][0] = {"type": "string", "const": "standard"}
    for end in ("from", "to"):
        field = schemas["InterpolateRequest"]["properties"][end]
        field["anyOf"] = [{"type": "integer", "minimum": 0, "maximum": MAX_SEED}, row]
    schemas["DecodeRequest"]["example"] = {"z": [[0.0] * (latent_dim or 1)]}
    schemas["InferenceRequest"]["example"] = protocol.example(latent_dim or 1)
    return {
        "schemas": dict(sorted(schemas.items())),
        "parameters": {
            name: _parameter(name, schemas[body]["properties"][name])
            for body, names in PARAMETERS.items()
            for name in names
        },
        "headers": dict(HEADERS),
        "securitySchemes": SECURITY_SCHEMES,
    }


def security(has_keys: bool) -> list[Extra]:
    """What a request must bear: a key in one of the two headers, or nothing where the server has no keys."""
    either: list[Extra] = [{name: []} for name in SECURITY_SCHEMES]
    return either if has_keys else [{}, *either]


def _schemas(models: Iterable[type[BaseModel]], mode: JsonSchemaMode) -> Extra:
    _, schemas = models_json_schema(
        [(model, mode) for model in models], ref_template="#/components/schemas/{model}"
    )
    definitions: Extra = schemas["$defs"]
    return definitions


def _parameter(name: str, field: Extra) -> Extra:
    """A field of a body as a parameter of the query, where there is no null."""
    schema = {
        key: value for key, value in field.items() if key not in ("anyOf", "default", "description", "title")
    }
    schema |= next((kind for kind in field.get("anyOf", ()) if kind["type"] != "null"), {})
    return {"name": name, "in": "query", "description": field["description"], "schema": schema}


def _uploads(name: str, counts: tuple[int, int], options: type[BaseModel] | None = None) -> Extra:
    """A body of images, which the routes take apart themselves, as multipart and as JSON.

    Args:
        name: The end of the names of the two.
        counts: The fewest and the most images.
        options: What goes with them.
    """
    fewest, most = counts
    fields = options.model_json_schema()["properties"] if options else {}
    schemas: Extra = {}
    for form, field, item in (("Multipart", "image", BINARY), ("Base64", "images", BASE64)):
        images = {"type": "array", "minItems": fewest, "maxItems": most, "items": item}
        properties = {field: images, **fields, "model": MODEL_NAME}
        schemas[f"{form}{name}"] = {"type": "object", "required": [field], "properties": properties}
    return schemas
