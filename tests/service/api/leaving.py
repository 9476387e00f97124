"""A client that closes its connection before its answer."""

from fastapi import FastAPI


async def leave(app: FastAPI, path: str, content_type: str, message: dict[str, object]) -> None:
    """Send one message of a request and close the connection."""
    messages = iter([message])

    async def receive() -> dict[str, object]:
        return next(messages, {"type": "http.disconnect"})

    async def send(message: dict[str, object]) -> None:
        raise AssertionError(f"nobody is there to take {message}")

    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"content-type", content_type.encode())],
        "http_version": "1.1",
        "scheme": "http",
        "server": ("service", 80),
        "client": ("client", 1),
        "root_path": "",
    }
    await app(scope, receive, send)
