"""What `serve` says at its start: a line that can be copied as it is."""

import pytest

from service.commands.hello import say_hello
from tests.conftest import RunningApp

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:8001"),
        ("0.0.0.0", "http://127.0.0.1:8001"),
        ("::", "http://[::1]:8001"),
        ("::1", "http://[::1]:8001"),
    ],
)
async def test_the_line_to_try_calls_an_address_that_can_be_called(
    running_app: RunningApp, capsys: pytest.CaptureFixture[str], host: str, address: str
) -> None:
    async with running_app() as (app, _):
        say_hello(app, host, 8001)
    said = capsys.readouterr().out
    assert f"curl -fsS {address}/sample -d" in said
    assert "Authorization" not in said


async def test_the_line_to_try_has_a_place_for_the_key(
    running_app: RunningApp, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_app(api_keys="k" * 32) as (app, _):
        say_hello(app, "127.0.0.1", 8001)
    assert '-H "Authorization: Bearer $API_KEY"' in capsys.readouterr().out
