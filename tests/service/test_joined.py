"""Head and body of an answer in one packet, whatever else is written before, between and after."""

import asyncio
import gc
import logging
import weakref
from collections.abc import Iterable

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from service.joined import JoinedAnswer

pytestmark = pytest.mark.anyio


class Recorder(asyncio.Transport):
    """A transport that keeps what it is told, a packet a call."""

    def __init__(self) -> None:
        super().__init__()
        self.packets: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.is_closing():  # as uvloop does
            raise RuntimeError
        self.packets.append(bytes(data))

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(list_of_data))

    def is_closing(self) -> bool:
        return self.packets[-1:] == [b"closed"]

    def close(self) -> None:
        if not self.is_closing():
            self.packets.append(b"closed")


def answering(
    method: str = "POST", *, keep_alive: bool = True, waits: bool = False
) -> tuple[RequestResponseCycle, list[bytes]]:
    """A cycle of uvicorn as its protocol makes it, and what it sends."""
    recorder, arrived = Recorder(), asyncio.Event()
    arrived.set()
    log = logging.getLogger(__name__)
    cycle = RequestResponseCycle(
        scope={"type": "http", "method": method},  # type: ignore[typeddict-item]
        transport=recorder,
        flow=FlowControl(recorder),
        logger=log,
        access_logger=log,
        access_log=False,
        default_headers=[],
        message_event=arrived,
        expect_100_continue=waits,
        keep_alive=keep_alive,
        on_response=lambda: None,
    )
    cycle.transport = JoinedAnswer(cycle)
    return cycle, recorder.packets


async def start(cycle: RequestResponseCycle, *headers: tuple[bytes, bytes]) -> None:
    await cycle.send({"type": "http.response.start", "status": 200, "headers": headers})


async def go_on(cycle: RequestResponseCycle, body: bytes, *, more: bool = False) -> None:
    await cycle.send({"type": "http.response.body", "body": body, "more_body": more})


async def test_head_and_body_go_out_together() -> None:
    cycle, packets = answering()
    await start(cycle, (b"content-length", b"4"))
    assert packets == []
    await go_on(cycle, b"body")
    assert packets == [b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody"]


async def test_a_body_in_parts_is_written_part_by_part_after_the_first() -> None:
    cycle, packets = answering()
    await start(cycle, (b"content-length", b"9"))
    for part in (b"HTTP", b"/1.1", b"."):
        await go_on(cycle, part, more=part != b".")
    assert packets == [b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nHTTP", b"/1.1", b"."]


async def test_an_answer_without_length_is_joined_too() -> None:
    cycle, packets = answering()
    await start(cycle)
    await go_on(cycle, b"body")
    assert packets == [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"]


async def test_an_answer_to_head_has_no_body_to_wait_for() -> None:
    cycle, packets = answering("HEAD")
    await start(cycle, (b"content-length", b"4"))
    await go_on(cycle, b"")
    assert packets == [b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n"]


async def test_continue_is_said_at_once() -> None:
    cycle, packets = answering(waits=True)
    await cycle.receive()
    assert packets == [b"HTTP/1.1 100 Continue\r\n\r\n"]
    await start(cycle, (b"content-length", b"2"))
    await go_on(cycle, b"OK")
    assert len(packets) == 2


async def test_the_connection_is_closed_after_the_body() -> None:
    cycle, packets = answering(keep_alive=False)
    await start(cycle, (b"content-length", b"4"))
    await go_on(cycle, b"body")
    assert packets == [b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbody", b"closed"]


async def test_a_head_whose_body_never_comes_is_sent_before_the_connection_is_closed() -> None:
    async def app(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        raise ValueError

    cycle, packets = answering()
    await cycle.run_asgi(app)
    assert packets == [b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n", b"closed"]


async def test_where_the_connection_was_closed_meanwhile_closing_it_again_raises_nothing() -> None:
    async def app(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        packets.append(b"closed")
        await send({"type": "http.response.body", "body": b"body"})

    cycle, packets = answering()
    await cycle.run_asgi(app)
    assert packets == [b"closed"]


@pytest.mark.parametrize("method", ["POST", "HEAD"])
async def test_an_answer_is_freed_without_the_garbage_collector(method: str) -> None:
    gc.disable()
    try:
        cycle, _ = answering(method)
        await start(cycle, (b"content-length", b"4"))
        await go_on(cycle, b"body" if method == "POST" else b"")
        gone = weakref.ref(cycle)
        del cycle
        assert gone() is None
    finally:
        gc.enable()
