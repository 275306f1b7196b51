"""What becomes of a `nft` that is missing, hangs, lies or says no; without any packet filter."""

from ipaddress import ip_address
from pathlib import Path

import pytest

from scheduler.allowlist.targets import TargetError
from scheduler.allowlist.targets.nftables import program
from scheduler.allowlist.targets.nftables.listing import listed
from scheduler.allowlist.targets.nftables.program import Nft
from scheduler.allowlist.targets.nftables.script import (
    Port,
    difference,
    duration,
    opening,
    replacement,
    table_script,
)
from scheduler.allowlist.targets.nftables.table import NftablesTarget

A, B, C = (ip_address(f"101.36.1.{n}") for n in (1, 2, 3))
SET = "inet agora_sidecar ncs4"


def nft(folder: Path, body: str) -> Nft:
    path = folder / "nft"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return Nft(str(path))


def target(folder: Path, body: str) -> NftablesTarget:
    return NftablesTarget(port=8080, mode="enforce", max_entries=4, program=nft(folder, body))


async def test_a_program_that_is_missing_is_said_with_what_to_install() -> None:
    missing = NftablesTarget(port=1, mode="observe", max_entries=1, program=Nft("no-such-nft"))
    with pytest.raises(TargetError, match="install nftables"):
        await missing.read()


async def test_a_program_that_hangs_is_given_up_and_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "TIMEOUT", 0.2)
    with pytest.raises(TargetError, match="took more than"):
        await target(tmp_path, "exec sleep 60").read()


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("Error: Operation not permitted", "CAP_NET_ADMIN"),
        ("Error: Too many open files in system", "set is full"),
        ("Error: syntax error", "nft refused: Error: syntax error"),
    ],
)
async def test_what_it_says_is_told(tmp_path: Path, said: str, why: str) -> None:
    with pytest.raises(TargetError, match=why):
        await target(tmp_path, f"echo '{said}' >&2; exit 1").read()


async def test_no_such_table_is_nothing_there(tmp_path: Path) -> None:
    body = "echo 'Error: No such file or directory' >&2; exit 1"
    assert await target(tmp_path, body).read() is None
    assert await target(tmp_path, body).counted() == {}
    assert await target(tmp_path, body).packets() == {}
    assert await target(tmp_path, body).opened() == 0.0


@pytest.mark.parametrize(
    "junk", ["", "null", "{}", '{"nftables": 3}', "<html>", '{"nftables": [7]}']
)
async def test_what_cannot_be_read_is_one_clear_error(tmp_path: Path, junk: str) -> None:
    with pytest.raises(TargetError, match="cannot be read"):
        await target(tmp_path, f"cat <<'E'\n{junk}\nE").read()


async def test_changes_of_others_are_told_with_their_writer_and_of_other_tables_not(
    tmp_path: Path,
) -> None:
    lines = (
        "add element inet theirs x { 1.2.3.4 }",
        "# new generation 2 by process 11 (ufw)",
        "delete set inet agora_sidecar ncs4",
        "delete table inet agora_sidecar",
        "# new generation 3 by process 12 (nft)",
    )
    text = "\n".join(lines)
    changes = nft(tmp_path, f"cat <<'E'\n{text}\nE").changes(["inet agora_sidecar"])
    assert (await anext(changes)).writer == "nft"
    with pytest.raises(TargetError, match="nft monitor ended"):
        await anext(changes)


def test_only_what_differs_is_said_and_who_leaves_goes_first() -> None:
    there = {A: None, B: None, C: 50.0}
    lines = list(difference(SET, there, {A: None, B: 600.0}, {B: 7}))
    assert lines == [
        f"add element {SET} {{ {C} }}",
        f"delete element {SET} {{ {C} }}",
        f"delete element {SET} {{ {B} }}",
        f"add element {SET} {{ {B} counter packets 7 bytes 0 timeout 600s0ms }}",
    ]


def test_a_remaining_time_is_left_alone_unless_it_is_far_off() -> None:
    assert list(difference(SET, {A: 599.0}, {A: 600.0}, {})) == []
    assert len(list(difference(SET, {A: 10.0}, {A: 600.0}, {}))) == 3


def test_in_whole_everybody_is_said() -> None:
    assert list(replacement(SET, {A: None, B: 2.5}, {})) == [
        f"flush set {SET}",
        f"add element {SET} {{ {A}, {B} timeout 2s500ms }}",
    ]


def test_a_table_that_is_there_is_not_made_anew() -> None:
    lines = table_script(Port(8080, "enforce", 8), rules=True)
    assert not [
        line for line in lines if line.startswith(("delete", "flush table", "flush ruleset"))
    ]
    assert [line for line in lines if line.startswith("flush")] == [
        "flush chain inet agora_sidecar port_8080"
    ]


def test_an_opening_has_an_end_and_can_be_taken_back() -> None:
    assert opening(8080, 90.0)[-1].endswith("{ 8080 timeout 90s0ms }")
    assert all("timeout" not in line for line in opening(8080, 0.0))
    assert duration(0.0001) == "1s0ms"


@pytest.mark.parametrize(
    "element", ['{"elem": {}}', '{"elem": {"val": 7}}', '"x"', "7", '{"elem": {"val": "1.2.3"}}']
)
def test_an_element_that_is_no_address_is_said(element: str) -> None:
    text = f'{{"nftables": [{{"set": {{"name": "ncs4", "elem": [{element}]}}}}]}}'
    with pytest.raises(ValueError, match=r"no address|cannot be read"):
        listed(text).elements("ncs4")
