"""The target of the operator's own programs, with real programs over a file."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest

from scheduler.allowlist.targets import Permit, Target, TargetError
from scheduler.allowlist.targets.command import EDITED, CommandTarget, Programs
from tests.scheduler.allowlist.contract import TargetContract

A, B, V6 = (ip_address(text) for text in ("101.36.1.2", "101.36.1.3", "2606:4700::1"))
STEP = """\
#!/bin/sh
# Counts the calls; with a file `left` it fails once so many have been
here=$(dirname "$0")
echo "$1" >>"$here/calls"
if [ -e "$here/left" ]; then
    left=$(cat "$here/left")
    [ "$left" -gt 0 ] || { echo "the firewall is out of reach" >&2; exit 1; }
    echo $((left - 1)) >"$here/left"
fi
case $1 in
    read) cat "$here/list" 2>/dev/null; exit 0 ;;
    apply) cat >"$here/given" && mv "$here/given" "$here/list" ;;
    dry-run) cat >"$here/rehearsed" ;;
    remove) rm -f "$here/list" ;;
esac
"""


def program(folder: Path, text: str, name: str = "edge") -> str:
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text().split()


def target(folder: Path, *, form: str = "plain", **programs: list[str]) -> CommandTarget:
    edge = program(folder, STEP)
    usual = {
        name: [edge, name.replace("_", "-")] for name in ("read", "apply", "dry_run", "remove")
    }
    return CommandTarget(
        "edge", Programs(**(usual | programs)), form=form, within=10.0, shared=True
    )


@pytest.mark.parametrize("form", ["plain", "json"])
class TestCommand(TargetContract):
    @pytest.fixture
    def target(self, tmp_path: Path, form: str) -> Target:
        self.folder = tmp_path
        return target(tmp_path, form=form)

    @contextmanager
    def broken_after(self, steps: int) -> Iterator[None]:
        left = self.folder / "left"
        left.write_text(str(steps))
        yield
        left.unlink()


async def test_the_list_is_rehearsed_before_it_is_applied(tmp_path: Path) -> None:
    await target(tmp_path).apply({V6: None, A: 60.0})
    assert calls(tmp_path) == ["read", "dry-run", "apply"]
    assert (tmp_path / "rehearsed").read_text() == "101.36.1.2\n2606:4700::1\n"


async def test_json_says_what_to_add_and_what_to_take_away(tmp_path: Path) -> None:
    edge = target(tmp_path, form="json")
    await edge.apply({A: None, B: None})
    await edge.apply({B: None, V6: None}, Permit("0123456789ab", 7))
    assert json.loads((tmp_path / "list").read_text()) == {
        "version": 1,
        "target": "command:edge",
        "plan": "0123456789ab",
        "epoch": 7,
        "addresses": ["101.36.1.3", "2606:4700::1"],
        "add": ["2606:4700::1"],
        "remove": ["101.36.1.2"],
    }


async def test_a_rehearsal_that_fails_stops_the_change(tmp_path: Path) -> None:
    no = program(tmp_path, "#!/bin/sh\necho no quota left; exit 4\n", "no")
    with pytest.raises(TargetError, match="no exited with 4: no quota left"):
        await target(tmp_path, dry_run=[no]).apply({A: None})
    assert calls(tmp_path) == ["read"]


async def test_an_empty_list_is_given_to_no_program(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="empty"):
        await target(tmp_path).apply({})
    assert not (tmp_path / "calls").exists()


async def test_what_changed_meanwhile_is_read_again(tmp_path: Path) -> None:
    text = """\
#!/bin/sh
here=$(dirname "$0")
[ -e "$here/second" ] && exec cp /dev/stdin "$here/list"
touch "$here/second"
echo 101.36.9.9 >"$here/list"
exit 75
"""
    busy = program(tmp_path, text, "busy")
    edge = target(tmp_path, form="plain", apply=[busy])
    await edge.apply({A: None})
    assert calls(tmp_path) == ["read", "dry-run", "read", "dry-run"]
    current = await edge.read()
    assert current is not None
    assert set(current.admitted) == {A}


async def test_changed_meanwhile_again_and_again_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="3 times that the list was changed meanwhile"):
        await target(tmp_path, apply=["sh", "-c", "exit 75"]).apply({A: None})


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("plain", "Error: session expired"),
        ("plain", "101.36.1.2 101.36.1.3"),
        ("plain", "101.36.1.0/33"),
        ("json", "<html>"),
        ("json", '{"error": "x"}'),
        ("json", "[1]"),
        ("json", "[null]"),
        ("json", '{"addresses": "101.36.1.2"}'),
        ("json", '["101.36.1.999"]'),
        ("json", "[" * 100_000),
    ],
)
async def test_what_is_no_list_is_never_taken_for_one(tmp_path: Path, form: str, said: str) -> None:
    """WordOps#420, community-content#839: an error page, or a failure that looked like `[]`."""
    (tmp_path / "said").write_text(said)
    edge = target(tmp_path, form=form, read=["cat", str(tmp_path / "said")])
    for act in (edge.read(), edge.apply({A: None})):
        with pytest.raises(TargetError, match="printed what is no list"):
            await act
    assert not (tmp_path / "list").exists()


async def test_a_network_that_somebody_let_in_is_a_difference_and_named(tmp_path: Path) -> None:
    edge = target(tmp_path, form="json")
    (tmp_path / "list").write_text('["0.0.0.0/0", "101.36.1.2/32", "101.36.1.3"]')
    current = await edge.read()
    assert current is not None
    assert (set(current.admitted), current.form) == ({A, B}, EDITED)
    await edge.apply({A: None})
    given = json.loads((tmp_path / "list").read_text())
    assert (given["add"], given["remove"]) == ([], ["0.0.0.0/0", "101.36.1.3"])
    current = await edge.read()
    assert current is not None
    assert current.form == "json"


async def test_comments_and_empty_lines_are_nothing(tmp_path: Path) -> None:
    edge = target(tmp_path)
    (tmp_path / "list").write_text("# ours\n\n 101.36.1.2 # front door\n")
    current = await edge.read()
    assert current is not None
    assert set(current.admitted) == {A}


async def test_a_program_that_hangs_is_given_up(tmp_path: Path) -> None:
    slow = CommandTarget(
        "slow",
        Programs(read=["sleep", "60"], apply=["true"]),
        form="plain",
        within=0.2,
        shared=False,
    )
    with pytest.raises(TargetError, match=r"sleep took more than 0\.2 s"):
        await slow.read()


async def test_without_a_program_for_it_nothing_is_taken_away(tmp_path: Path) -> None:
    edge = target(tmp_path, remove=[])
    await edge.uninstall()
    await edge.apply({A: None})
    with pytest.raises(TargetError, match="take the list away there by hand"):
        await edge.uninstall()


async def test_a_doctor_rehearses_what_is_there(tmp_path: Path) -> None:
    edge = target(tmp_path)
    assert await edge.examine() == []  # nothing is there: an empty list is given to no program
    await edge.apply({A: None})
    assert [remark.kind for remark in await edge.examine()] == ["ok"]
    no = program(tmp_path, "#!/bin/sh\necho the key has ended; exit 4\n", "no")
    (remark,) = await target(tmp_path, dry_run=[no]).examine()
    assert (remark.kind, remark.text) == (
        "problem",
        f"dry_run failed: {no} exited with 4: the key has ended",
    )


async def test_no_program_is_given_our_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIDECAR_AGORA__CUSTOMER_SECRET", "hidden")
    shown = tmp_path / "shown"
    await target(tmp_path, dry_run=["sh", "-c", f"env >{shown}"]).apply({A: None})
    assert "hidden" not in shown.read_text()
