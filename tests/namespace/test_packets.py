"""Counted by packets, between two machines: no listed one is dropped, no unlisted one admitted.

What arrives is counted by a table before ours and a table after ours; what differs was dropped.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest

from scheduler.allowlist.targets.nftables.preflight import remarks
from scheduler.allowlist.targets.nftables.table import NftablesTarget
from tests.namespace.lab import Machine, load, machine, nft

PORT = 18443
SERVER = ("101.36.200.1", "2606:4700:200::1")
CLIENT = ("101.36.200.2", "2606:4700:200::2")
VENDOR = ("101.36.7.1", "101.36.7.2", "2606:4700:7::1", "2606:4700:7::2")
STRANGERS = ("101.36.66.1", "2606:4700:66::1")
COUNTING = """
table inet {name} {{
  set vendor4 {{ type ipv4_addr; elements = {{ 101.36.7.1, 101.36.7.2 }} }}
  set vendor6 {{ type ipv6_addr; elements = {{ 2606:4700:7::1, 2606:4700:7::2 }} }}
  counter vendor {{ }}
  counter strangers {{ }}
  chain syns {{
    type filter hook {hook} priority {priority};
    tcp dport != {port} return
    tcp flags & (syn | ack) != syn return
    ip saddr @vendor4 counter name vendor return
    ip6 saddr @vendor6 counter name vendor return
    counter name strangers
  }}
}}
"""


@pytest.fixture
def client() -> Iterator[Machine]:
    with machine(SERVER, CLIENT) as found:
        found.has(*VENDOR, *STRANGERS)
        yield found


@asynccontextmanager
async def serving(port: int = PORT) -> AsyncIterator[None]:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(b"h")
            while data := await reader.read(64):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    servers = [await asyncio.start_server(greet, host, port, backlog=4096) for host in SERVER]
    try:
        yield
    finally:
        for server in servers:
            server.close()


def counted(table: str) -> dict[str, int]:
    found = json.loads(nft("-j", "list", "counters", "table", "inet", table))["nftables"]
    return {
        item["counter"]["name"]: item["counter"]["packets"] for item in found if "counter" in item
    }


async def churn(target: NftablesTarget, changes: int) -> None:
    """The vendor's own come and go between active and retiring, all others are exchanged."""
    chance = random.Random(7)
    for _ in range(changes):
        wish: dict[object, float | None] = {
            ip_address(a): chance.choice((None, 600.0, 3600.0)) for a in VENDOR
        }
        others = [
            f"101.36.{chance.randrange(100, 120)}.{chance.randrange(1, 250)}" for _ in range(24)
        ]
        others += [f"2606:4700:9::{chance.randrange(1, 999)}" for _ in range(6)]
        wish |= {ip_address(a): chance.choice((None, 600.0)) for a in others}
        await target.apply(wish)  # type: ignore[arg-type]


async def proven(client: Machine, changes: int) -> dict[str, int]:
    nft("flush", "ruleset")
    target = NftablesTarget(port=PORT, mode="enforce", max_entries=64)
    await target.apply({ip_address(a): None for a in VENDOR})
    load(COUNTING.format(name="before", hook="prerouting", priority=-400, port=PORT))
    load(COUNTING.format(name="after", hook="input", priority=400, port=PORT))
    async with serving():
        traffic = client.traffic(
            to4=SERVER[0],
            to6=SERVER[1],
            port=PORT,
            listed=VENDOR,
            held=VENDOR,
            strangers=STRANGERS,
        )
        try:
            await churn(target, changes)
        finally:
            found = await asyncio.to_thread(traffic.stop)
    before, after = counted("before"), counted("after")
    print(json.dumps({"changes": changes, "traffic": found, "before": before, "after": after}))  # noqa: T201 - what was measured
    assert before["vendor"] == after["vendor"] > changes / 10
    assert (before["strangers"] > changes / 10, after["strangers"]) == (True, 0)
    assert found.get("failed", 0) == found.get("broken", 0) == found.get("entered", 0) == 0
    assert found["echoed"] > 0
    return found


async def test_no_listed_packet_is_dropped_and_no_unlisted_one_admitted(client: Machine) -> None:
    await proven(client, 60)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_three_thousand_changes_drop_and_admit_nothing_wrong(client: Machine) -> None:
    await proven(client, 3000)


async def reaches(client: Machine, source: str, port: int = PORT) -> bool:
    """Whether one connection from there comes through, within a moment."""
    to = SERVER[":" in source]
    code = (
        "import socket,sys; s=socket.create_connection((sys.argv[1], int(sys.argv[2])), 0.6, "
        "(sys.argv[3], 0)); sys.exit(s.recv(1) != b'h')"
    )
    process = await asyncio.create_subprocess_exec(
        *client.enter,
        *("python3", "-c", code),
        to,
        str(port),
        source,
        stderr=asyncio.subprocess.DEVNULL,
    )
    return await process.wait() == 0


@pytest.mark.parametrize("mark", [0xA60, 0])
async def test_a_later_drop_still_drops_unless_the_mark_is_handed_over(
    client: Machine, mark: int
) -> None:
    nft("flush", "ruleset")
    load(
        "table inet host { chain in { type filter hook input priority 0; policy drop; "
        "ct state established accept; iif lo accept; meta l4proto ipv6-icmp accept; "
        "meta mark and 0xa60 == 0xa60 accept; }; }"
    )
    target = NftablesTarget(port=PORT, mode="enforce", max_entries=8, mark=mark)
    await target.apply({ip_address(VENDOR[0]): None, ip_address(VENDOR[2]): None})
    (found, *_) = remarks(nft("-j", "list", "ruleset"), port=PORT, mark=mark) or [None]
    assert (found is None) is bool(mark)
    assert found is None or (found.harmful and "meta mark and 0xa60 == 0xa60 accept" in found.cure)
    async with serving():
        assert await reaches(client, VENDOR[0]) is bool(mark)
        assert await reaches(client, VENDOR[2]) is bool(mark)
        assert not await reaches(client, STRANGERS[0])


async def test_a_published_port_of_a_container_does_not_bypass_the_list(client: Machine) -> None:
    """DNAT to another machine: the packets never see an input chain."""
    nft("flush", "ruleset")
    with machine(("101.36.201.1", "2606:4700:201::1"), ("101.36.201.2", "2606:4700:201::2")) as box:
        for path in ("/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"):
            Path(path).write_text("1")
        load(
            "table inet nat { chain pre { type nat hook prerouting priority dstnat; "
            "tcp dport 443 dnat ip to 101.36.201.2:8080; }; }"
        )
        server = await asyncio.create_subprocess_exec(
            *box.enter,
            "python3",
            "-c",
            "import socket\ns=socket.create_server(('101.36.201.2', 8080))\nprint(flush=True)\n"
            "while True:\n  c=s.accept()[0]; c.sendall(b'h'); c.close()",
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            assert server.stdout is not None
            await server.stdout.readline()
            assert await reaches(client, STRANGERS[0], 443)
            (found,) = remarks(nft("-j", "list", "ruleset"), port=443)
            assert (found.text, found.harmful) == ("port 443 is redirected in inet nat pre", False)
            (found,) = remarks(nft("-j", "list", "ruleset"), port=8080)
            assert found.harmful
            target = NftablesTarget(port=443, mode="enforce", max_entries=8)
            await target.apply({ip_address(VENDOR[0]): None})
            assert await reaches(client, VENDOR[0], 443)
            assert not await reaches(client, STRANGERS[0], 443)
        finally:
            server.kill()
            await server.wait()
