"""The command as a person meets it: options, first line, end."""

import asyncio
import signal
import socket
import sys

import aiohttp
import pytest
import typer
from typer.testing import CliRunner

from agora_sidecar.cli.emulator import emulator

app = typer.Typer()
app.command()(emulator)
PROGRAM = "import typer; from agora_sidecar.cli.emulator import emulator; typer.run(emulator)"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--listen", "9400"], "emulator: listen: '9400' is not ADDRESS:PORT"),
        (["--callback", "nowhere"], "emulator: callback: 'nowhere' is not an http"),
        (["--speed", "0"], "emulator: speed: 0.0"),
        (["--fault", "loose=1"], "emulator: loose: no such fault"),
        (["--fault", "lose=0.1", "--fault", "lose=2"], "emulator: lose: 2.0 is not"),
        (["--sources", "127.0.0.1,here"], "emulator: sources: 'here' is not an IP address"),
        (["--sources", ""], "emulator: sources: '' is not an IP address"),
        (["--sources", "203.0.113.7", "--listen", "127.0.0.1:0"], "emulator: sources: cannot send"),
        (["--secret", ""], "emulator: secret: must not be empty"),
    ],
)
def test_a_bad_option_is_one_clear_line_and_exit_2(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(app, arguments)

    assert result.exit_code == 2
    assert result.stderr.startswith(message)
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_a_taken_address_is_one_clear_line_and_exit_1() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"

        result = CliRunner().invoke(app, ["--listen", where])

    assert result.exit_code == 1
    assert result.stderr.startswith(f"emulator: listen: cannot listen on {where}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_says_where_it_listens_and_ends_on_a_signal(number: signal.Signals) -> None:
    arguments = ("--listen", "127.0.0.1:0", "--app-id", "my-app", "--customer-secret", "my-secret")
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM, *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert child.stdout is not None
    first = (await asyncio.wait_for(child.stdout.readline(), 30)).decode()
    assert "app id my-app, customer id emulator-customer, customer secret my-secret" in first
    url = first.split("listening on ")[1].split(",")[0]
    async with (
        aiohttp.ClientSession() as session,
        session.get(
            url + "/v1/ncs/ip",
            headers={"Authorization": "Basic ZW11bGF0b3ItY3VzdG9tZXI6bXktc2VjcmV0"},
        ) as response,
    ):
        assert response.status == 200

    child.send_signal(number)

    _, error = await asyncio.wait_for(child.communicate(), 30)
    assert (child.returncode, error) == (0, b"")
