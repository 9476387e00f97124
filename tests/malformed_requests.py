"""Requests that are wrong, as the bytes of a socket, and their answers."""

from typing import NamedTuple

MAX_HEADER_BYTES = 16 * 1024
BOUNDARY = "b"
CHUNKED = "Transfer-Encoding: chunked"
OK, BAD, LATE, LARGE, HEADER_TOO_LARGE = 200, 400, 408, 413, 431
UNREADABLE, INVALID = 415, 422
NOT_FOUND, NO_METHOD, VERSION = 404, 405, 505


class Case(NamedTuple):
    """A request, and its answer.

    Attributes:
        name: What is wrong.
        content: All that is sent.
        status: Of the last answer; None where the connection ends without one.
        leaves_half: Whether the client ends its side after that.
    """

    name: str
    content: bytes
    status: int | None
    leaves_half: bool = False


def post(body: bytes | str = b"{}", *fields: str, path: str = "/sample", length: int | None = None) -> bytes:
    """A request with a JSON body."""
    body = body if isinstance(body, bytes) else body.encode()
    lines = [f"POST {path} HTTP/1.1", "Host: x", "Content-Type: application/json", *fields]
    if not any(field.lower().startswith(("content-length", "transfer-encoding")) for field in fields):
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def form(body: str, content_type: str = f"multipart/form-data; boundary={BOUNDARY}") -> bytes:
    """A request with a multipart body."""
    head = f"POST /encode HTTP/1.1\r\nHost: x\r\nContent-Type: {content_type}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def part(name: str = 'name="image"; filename="x"', content: str = "x") -> str:
    return f"--{BOUNDARY}\r\nContent-Disposition: form-data; {name}\r\n\r\n{content}\r\n"


def get(target: str, *fields: str, version: str = "HTTP/1.1") -> bytes:
    return "\r\n".join([f"GET {target} {version}", *(fields or ("Host: x",)), "", ""]).encode()


FRAMING = [
    Case("two lengths that differ", post(b"{}", "Content-Length: 2", "Content-Length: 3"), BAD),
    Case("a length twice", post(b"{}", "Content-Length: 2", "Content-Length: 2"), BAD),
    Case("two lengths in one field", post(b"{}", "Content-Length: 2, 2"), BAD),
    Case("a length and chunks", post(b"2\r\n{}\r\n0\r\n\r\n", "Content-Length: 2", CHUNKED), BAD),
    Case("chunks and a length", post(b"2\r\n{}\r\n0\r\n\r\n", CHUNKED, "Content-Length: 2"), BAD),
    Case("a length below zero", post(b"{}", "Content-Length: -2"), BAD),
    Case("a length with a sign", post(b"{}", "Content-Length: +2"), BAD),
    Case("a length that is no number", post(b"{}", "Content-Length: two"), BAD),
    Case("a length in hexadecimal", post(b"{}", "Content-Length: 0x2"), BAD),
    Case("a length beyond 64 bits", post(b"{}", "Content-Length: 99999999999999999999"), BAD),
    Case("a length beyond the limit", post(b"{}", "Content-Length: 99999999"), LARGE),
    Case("no length and no chunks", post(b"", "Content-Length: 0"), OK),
    Case("another coding of the body", post(b"{}", "Transfer-Encoding: gzip"), BAD),
    Case("chunks, then another coding", post(b"{}", "Transfer-Encoding: chunked, gzip"), BAD),
    Case("chunked twice", post(b"0\r\n\r\n", CHUNKED, CHUNKED), BAD),
    Case("a body that ends early", post(b"{", length=9), None, leaves_half=True),
    Case("a body that stops", post(b"{", length=9), LATE),
]
CHUNKS = [
    Case("a chunk of no size", post(b"\r\n{}\r\n0\r\n\r\n", CHUNKED), BAD),
    Case("a chunk size that is no number", post(b"xyz\r\n{}\r\n0\r\n\r\n", CHUNKED), BAD),
    Case("a chunk size below zero", post(b"-2\r\n{}\r\n0\r\n\r\n", CHUNKED), BAD),
    Case("a chunk size with 0x", post(b"0x2\r\n{}\r\n0\r\n\r\n", CHUNKED), BAD),
    Case("a chunk size beyond 64 bits", post(b"fffffffffffffffff\r\n{}", CHUNKED), BAD),
    Case("a chunk that is longer than its size", post(b"1\r\n{}\r\n0\r\n\r\n", CHUNKED), BAD),
    Case("a chunk size that ends in a bare LF", post(b"2\n{}\r\n0\r\n\r\n", CHUNKED), BAD),
    Case("a chunk that ends in a bare LF", post(b"2\r\n{}\n0\r\n\r\n", CHUNKED), BAD),
    Case("no last chunk", post(b"2\r\n{}\r\n", CHUNKED), LATE),
    Case("no last chunk, and the end", post(b"2\r\n{}\r\n", CHUNKED), None, leaves_half=True),
    Case(
        "an endless extension", post(b"2;" + b"a" * 2**20 + b"\r\n{}\r\n0\r\n\r\n", CHUNKED), HEADER_TOO_LARGE
    ),
    Case("extensions", post(b"2;a=b\r\n{}\r\n0\r\n\r\n", CHUNKED), OK),
    Case("trailers", post(b"2\r\n{}\r\n0\r\nX: 1\r\n\r\n", CHUNKED), OK),
    Case("endless trailers", post(b"2\r\n{}\r\n0\r\n" + b"X: 1\r\n" * 2**18, CHUNKED), HEADER_TOO_LARGE),
    Case(
        "chunks of a byte", post(b"".join(b"1\r\n \r\n" for _ in range(2**17)) + b"0\r\n\r\n", CHUNKED), BAD
    ),
    Case(
        "chunks beyond the limit",
        post(b"800000\r\n" + b" " * 2**23 + b"\r\n800000\r\n" + b" " * 2**23, CHUNKED),
        LARGE,
    ),
]
HEADS = [
    Case("a target of a megabyte", get("/" + "a" * 2**20), HEADER_TOO_LARGE),
    Case("a target a little too long", get("/" + "a" * MAX_HEADER_BYTES), HEADER_TOO_LARGE),
    Case("a field of a megabyte", get("/livez", "Host: x", "X: " + "a" * 2**20), HEADER_TOO_LARGE),
    Case("a field name of a megabyte", get("/livez", "Host: x", "X" * 2**20 + ": a"), HEADER_TOO_LARGE),
    Case("50,000 fields", get("/livez", "Host: x", *["X: 1"] * 50_000), HEADER_TOO_LARGE),
    Case("a field without end", b"GET /livez HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 2**20, HEADER_TOO_LARGE),
    Case("a header that stops", b"GET /livez HTTP/1.1\r\nHo", LATE),
    Case("a request line that stops", b"GE", LATE),
    Case("nothing but empty lines", b"\r\n" * 100, None),
    Case("nothing at all", b"", None),
    Case("no Host", get("/livez", "X: 1"), BAD),
    Case("two Hosts", get("/livez", "Host: x", "Host: y"), BAD),
    Case("lines that end in LF", get("/livez").replace(b"\r\n", b"\n"), BAD),
    Case("NUL in a field", get("/livez", "Host: x", "X: a\0b"), BAD),
    Case("CR in a field", get("/livez", "Host: x", "X: a\rb"), BAD),
    Case("a space before the colon", get("/livez", "Host: x", "X : 1"), BAD),
    Case("a field without a name", get("/livez", "Host: x", ": 1"), BAD),
    Case("a field without a colon", get("/livez", "Host: x", "nonsense"), BAD),
    Case("a folded field", get("/livez", "Host: x", "X: 1\r\n 2"), BAD),
    Case("no method", b" /livez HTTP/1.1\r\nHost: x\r\n\r\n", BAD),
    Case("a method that is none", get("/livez").replace(b"GET", b"FETCH"), BAD),
    Case("a method in lower case", get("/livez").replace(b"GET", b"get"), BAD),
    Case("a method that is not taken", get("/livez").replace(b"GET", b"DELETE"), NO_METHOD),
    Case("no version", b"GET /livez\r\n\r\n", VERSION),
    Case("version 0.9", get("/livez", version="HTTP/0.9"), VERSION),
    Case("version 1.2", get("/livez", version="HTTP/1.2"), BAD),
    Case("version 2.0", get("/livez", version="HTTP/2.0"), VERSION),
    Case("another protocol", get("/livez", version="SMTP/1.0"), BAD),
    Case("HTTP/2's preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", BAD),
    Case("the start of TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), BAD),
    Case("no HTTP at all", b"hello\r\n\r\n", BAD),
    Case(
        "an upgrade to a WebSocket", get("/livez", "Host: x", "Connection: Upgrade", "Upgrade: websocket"), OK
    ),
    Case("an upgrade to HTTP/2", get("/livez", "Host: x", "Connection: Upgrade", "Upgrade: h2c"), OK),
]
TARGETS = [
    Case("an absolute target", get("http://x/livez"), OK),
    Case("an authority as target", b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", BAD),
    Case("a star as target", b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", NOT_FOUND),
    Case("a target without a slash", get("livez"), BAD),
    Case("a target of bytes", b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n", BAD),
    Case("percent signs without meaning", get("/%zz%"), NOT_FOUND),
    Case("an encoded NUL", get("/livez%00"), NOT_FOUND),
    Case("bytes that are no UTF-8, encoded", get("/%ff%fe"), NOT_FOUND),
    Case("dots that lead up", get("/../../etc/passwd"), NOT_FOUND),
    Case("encoded dots that lead up", get("/models/..%2f..%2fetc%2fpasswd"), NOT_FOUND),
]
JSON_BODIES = [
    Case("half a JSON", post('{"n":'), BAD),
    Case("a JSON and more", post("{} {}"), BAD),
    Case("single quotes", post("{'n': 1}"), BAD),
    Case("no object", post("[1]"), INVALID),
    Case("100,000 lists in each other", post('{"n":' + "[" * 100_000), BAD),
    Case("100,000 objects in each other", post('{"n":' * 100_000), BAD),
    Case("500 lists in each other", post('{"n":' + "[" * 500 + "]" * 500 + "}"), INVALID),
    Case("NaN", post('{"z":[[NaN]]}', path="/decode"), INVALID),
    Case("Infinity", post('{"temperature": Infinity}'), INVALID),
    Case("-Infinity", post('{"temperature":-Infinity}'), INVALID),
    Case("a number beyond doubles", post('{"temperature": 1e999}'), INVALID),
    Case("5,000 digits", post('{"n": ' + "9" * 5000 + "}"), INVALID),
    Case("an integer beyond 64 bits", post('{"seed": 99999999999999999999}'), INVALID),
    Case("NaN in a text", post('{"model": "NaN" 1}'), BAD),
    Case("bytes that are no UTF-8", post(b'{"model":"\xff\xfe"}'), BAD),
    Case("half a surrogate", post('{"model":"\\ud800"}'), BAD),
    Case("a name twice", post('{"n":1,"n":2}'), OK),
    Case("UTF-16", post('{"n":1}'.encode("utf-16")), BAD),
    Case("a megabyte of spaces", post(b" " * 2**20 + b"{}"), OK),
]
FORMS = [
    Case("no boundary", form(part(), "multipart/form-data"), BAD),
    Case("another boundary", form(part(), "multipart/form-data; boundary=c"), BAD),
    Case("a part without a name", form(part("x=y") + f"--{BOUNDARY}--\r\n"), BAD),
    Case("no last boundary", form(part()[:-2]), BAD),
    Case("nothing in it", form(f"--{BOUNDARY}--\r\n"), BAD),
    Case("an empty body", form(""), BAD),
    Case("1,000 images", form(part() * 1000 + f"--{BOUNDARY}--\r\n"), INVALID),
    Case("1,000 fields", form(part('name="x"') * 1000 + f"--{BOUNDARY}--\r\n"), BAD),
    Case("a part header of a megabyte", form(part('name="image"; filename="' + "x" * 2**20 + '"')), BAD),
    Case("a field of two megabytes", form(part('name="model"', "x" * 2**21) + f"--{BOUNDARY}--\r\n"), BAD),
    Case("another kind of form", form("image=x", "application/x-www-form-urlencoded"), UNREADABLE),
    Case("no kind of body", post().replace(b"Content-Type: application/json\r\n", b""), UNREADABLE),
]
CASES = [*FRAMING, *CHUNKS, *HEADS, *TARGETS, *JSON_BODIES, *FORMS]
