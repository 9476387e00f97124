"""Who opens a connection while the server is busy is not kept waiting behind all others who do."""

import asyncio
import time

from tests.benchmarks.connections import Pool, request
from tests.live_server import LiveServer

TURN_SECONDS = 0.02
NUM_CLIENTS = 100

# Every turn of the event loop takes as long as it does under heavy load.
MAKE_TURNS_LONG = f"""
import asyncio, time, uvicorn
startup = uvicorn.Server.startup
async def start_and_slow_down(self, sockets=None):
    await startup(self, sockets)
    loop = asyncio.get_running_loop()
    def turn():
        time.sleep({TURN_SECONDS})
        loop.call_soon(turn)
    turn()
uvicorn.Server.startup = start_and_slow_down
"""


def test_many_connections_are_taken_in_each_turn_of_the_loop() -> None:
    with LiveServer("--device", "cpu", prelude=MAKE_TURNS_LONG) as live:
        seconds = asyncio.run(seconds_of_clients_that_connect_at_once(live.url))
    assert seconds < 0.7 * NUM_CLIENTS * TURN_SECONDS


async def seconds_of_clients_that_connect_at_once(url: str) -> float:
    content = request("GET", "/livez")
    async with Pool(url) as pool:
        started = time.monotonic()
        answers = await asyncio.gather(*(pool.ask(content) for _ in range(NUM_CLIENTS)))
        assert {answer.status for answer in answers} == {200}
        assert pool.num_opened == NUM_CLIENTS
        return time.monotonic() - started
