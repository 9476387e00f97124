"""What clients ask for: the same five requests of every server."""

import base64
import dataclasses

import orjson

from tests.benchmarks import pictures

JSON = "application/json"


@dataclasses.dataclass(frozen=True)
class Workload:
    """One kind of request.

    Attributes:
        name: As shown in the tables.
        path: Of the URL.
        body: What is sent.
        content_type: Of the body.
        accept: The form of the answer.
        num_images: Images that one request makes or takes.
    """

    name: str
    path: str
    body: bytes
    content_type: str = JSON
    accept: str = JSON
    num_images: int = 1


def workloads() -> list[Workload]:
    """The five workloads of the service."""
    picture = pictures.jpeg()
    return [
        sample(16),
        sample(16, accept="application/zip"),
        sample(1),
        Workload("encode", "/encode", picture, "image/jpeg"),
        Workload("reconstruct", "/reconstruct", picture, "image/jpeg"),
    ]


def peer_workloads() -> list[Workload]:
    """The three that peers are compared in; pictures in base64, a form that each of them takes."""
    body = orjson.dumps({"images": [base64.b64encode(pictures.jpeg()).decode()]})
    return [
        sample(16),
        Workload("encode", "/encode", body),
        Workload("reconstruct", "/reconstruct", body),
    ]


def sample(num: int, *, accept: str = JSON) -> Workload:
    """Draw images from the prior, another seed each time."""
    form = accept.rpartition("/")[2]
    return Workload(f"sample n={num} {form}", "/sample", b'{"n":%d}' % num, accept=accept, num_images=num)
