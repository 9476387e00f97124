"""A traced request, as a real OpenTelemetry collector would receive it: one trace, a span for each stage."""

import gzip
import http.server
import json
import queue
import threading
from collections.abc import Iterator

import httpx
import pytest

from tests.live_server import LiveServer
from tests.pictures import file_of, noise, picture

trace_service = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
pytest.importorskip("opentelemetry.exporter.otlp.proto.http.trace_exporter")

TRACE_ID, PARENT_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEADERS = {"traceparent": f"00-{TRACE_ID}-{PARENT_ID}-01", "x-request-id": "traced"}
STAGES = ("decode_image", "queue", "device", "encode_image")
WAIT_SECONDS = 30


class Collector:
    """Receives spans by OTLP over HTTP.

    Attributes:
        url: Where it listens.
        spans: Those that arrived.
    """

    def __init__(self) -> None:
        self.spans: queue.Queue[object] = queue.Queue()
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                body = gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body
                if self.path == "/v1/traces":
                    collector.receive(body)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def receive(self, body: bytes) -> None:
        message = trace_service.ExportTraceServiceRequest.FromString(body)
        for resource in message.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.spans.put(span)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


@pytest.fixture
def traced(collector: Collector) -> Iterator[LiveServer]:
    environment = {
        "FASTAPI_OTEL_AUTO_CONFIGURE": "true",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_SERVICE_NAME": "vae",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    with LiveServer("--device", "cpu", environment=environment) as live:
        yield live


def test_each_stage_is_a_span_of_the_callers_trace(traced: LiveServer, collector: Collector) -> None:
    file = file_of(picture(noise(28, 28, 3)))
    answer = httpx.post(f"{traced.url}/reconstruct", files={"image": file}, headers=HEADERS, timeout=60)
    assert answer.status_code == 200
    spans = {}
    while not {"POST /reconstruct", *STAGES} <= spans.keys():  # in no order: several threads send them
        span = collector.spans.get(timeout=WAIT_SECONDS)
        assert span.trace_id.hex() == TRACE_ID
        spans[span.name] = span
    root = spans["POST /reconstruct"]
    assert root.parent_span_id.hex() == PARENT_ID
    stages = [spans[name] for name in STAGES]
    starts = [stage.start_time_unix_nano for stage in stages]
    ends = [stage.end_time_unix_nano for stage in stages]
    assert starts[1:] == ends[:-1]
    moments = [root.start_time_unix_nano, *ends, root.end_time_unix_nano]
    assert moments == sorted(moments)


def test_the_log_tells_the_trace_and_where_the_time_went_without_a_collector(server: LiveServer) -> None:
    httpx.post(f"{server.url}/sample", json={"n": 3}, headers={**HEADERS, "x-request-id": "logged"})
    server.wait_until(lambda: '"logged"' in server.log(), WAIT_SECONDS)
    (line,) = [json.loads(line) for line in server.log().splitlines() if '"logged"' in line]
    assert line["trace_id"] == TRACE_ID
    assert line["num_items"] == 3
    assert line["num_bytes"] > 1000
    for name in ("queue_seconds", "device_seconds", "codec_seconds"):
        assert 0 <= line[name] <= line["duration_seconds"] <= 60
