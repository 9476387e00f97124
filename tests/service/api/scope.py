"""What a server tells of a request that it has the head of."""


def posted(path: str, content_type: str) -> dict[str, object]:
    """The scope of a POST request, for an app that is called without a server."""
    return {
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
