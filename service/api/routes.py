"""The operations: one row each, with where it is done and what the documents say of it."""

from fastapi import APIRouter

from service.api import documents
from service.api.coding import decode, encode, reconstruct
from service.api.interpolation import interpolate
from service.api.sampling import get_sample, head_sample, sample
from service.api.scores import score

router = APIRouter(tags=["operations"])

for path, method, operation, document in (
    ("/sample", "POST", sample, documents.SAMPLE),
    ("/sample", "GET", get_sample, documents.GET_SAMPLE),
    ("/sample", "HEAD", head_sample, documents.HEAD_SAMPLE),
    ("/decode", "POST", decode, documents.DECODE),
    ("/encode", "POST", encode, documents.ENCODE),
    ("/reconstruct", "POST", reconstruct, documents.RECONSTRUCT),
    ("/score", "POST", score, documents.SCORE),
    ("/interpolate", "POST", interpolate, documents.INTERPOLATE),
):
    router.add_api_route(path, operation, methods=[method], **document)
