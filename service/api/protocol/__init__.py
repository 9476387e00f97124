"""The Open Inference Protocol, version 2, under /v2, which clients of KServe and Triton speak.

A request has one tensor, which says what is to be done: `images` is encoded to `mu` and `log_var`, `z` is
decoded to `images`. Tensors travel as JSON, or as bytes after it (Triton's binary tensor data extension).

    schemas     requests and answers as JSON
    inference   a body to an array and to what is asked for
    answers     arrays to a body
    routes      metadata, readiness and inference
    documents   what OpenAPI says of them
"""
