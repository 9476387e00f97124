"""A client that closes its connection before its answer."""

from fastapi import FastAPI

from tests.service.api.scope import posted


async def leave(app: FastAPI, path: str, content_type: str, message: dict[str, object]) -> None:
    """Send one message of a request and close the connection."""
    messages = iter([message])

    async def receive() -> dict[str, object]:
        return next(messages, {"type": "http.disconnect"})

    async def send(message: dict[str, object]) -> None:
        raise AssertionError(f"nobody is there to take {message}")

    await app(posted(path, content_type), receive, send)
