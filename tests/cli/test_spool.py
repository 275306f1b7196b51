import asyncio
import json
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from agora_sidecar.cli.spool import app
from agora_sidecar.keys import Shards
from agora_sidecar.stream import Append
from receiver.spool.folder import claim_own
from receiver.spool.journal import Journal
from tests.integration.processes import Store
from tests.integration.test_receiver_process import ALWAYS, servers


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        store = Store(servers()[0], Path(folder), *ALWAYS)
        yield store
        store.end()


def spooled(folder: Path, *names: str) -> None:
    slot = claim_own(folder / "spool")
    journal = Journal(slot.path, limit=1 << 24)
    journal.put([(item(name), 1) for name in names])
    journal.close()
    slot.release()


def item(name: str) -> Append:
    fields = ["id", name, "source", "/agora/default", "origin", "webhook"]
    return Append("{ncs}:events", (f"{{ncs}}:seen:default:{name}",), fields, b"{}")


def run(folder: Path, store: Store, *arguments: str, **settings: str) -> Result:
    environment = {"SIDECAR_DATA_DIR": str(folder), "SIDECAR_REDIS__URL": store.url}
    return CliRunner().invoke(app, list(arguments), env=environment | settings)


async def in_thread(folder: Path, store: Store, *arguments: str) -> Result:
    return await asyncio.to_thread(run, folder, store, *arguments)


async def test_what_waits_is_shown_and_given_back_once(tmp_path: Path, store: Store) -> None:
    spooled(tmp_path, "a", "b")
    shown = json.loads(run(tmp_path, store, "status", "--json").stdout)
    assert shown["files"][0] | {"oldestSeconds": 0, "bytes": 0} == {
        "file": "spool-0.db",
        "holder": None,
        "waiting": 2,
        "copies": 0,
        "oldestSeconds": 0,
        "bytes": 0,
    }
    assert "2 waiting, the oldest for" in run(tmp_path, store, "status").stdout

    await store.start()
    result = await in_thread(tmp_path, store, "drain")
    assert result.exit_code == 0, result.output
    assert "1 file(s) given back: 2 new on the stream, 0 were there already" in result.stdout
    assert [entry[b"id"] for entry in await store.entries()] == [b"a", b"b"]

    spooled(tmp_path, "b", "c")
    result = await in_thread(tmp_path, store, "drain", "--json")
    assert json.loads(result.stdout) == {"files": 1, "stored": 1, "duplicates": 1, "held": []}


async def test_a_file_stays_until_what_was_given_back_is_safe_in_the_store(
    tmp_path: Path, store: Store
) -> None:
    spooled(tmp_path, "a")
    store.options = ("--appendonly", "yes", "--appendfsync", "everysec")
    await store.start()
    result = await in_thread(tmp_path, store, "drain", "--wait", "2")
    assert result.exit_code == 1
    assert [entry[b"id"] for entry in await store.entries()] == [b"a"]
    shown = json.loads(run(tmp_path, store, "status", "--json").stdout)
    assert [(file["waiting"], file["copies"]) for file in shown["files"]] == [(0, 1)]

    store.send(signal.SIGKILL)  # and had not written it to its disk
    shutil.rmtree(next(store.folder.glob("appendonly*")))
    store.options = ALWAYS
    await store.start()
    assert (await in_thread(tmp_path, store, "drain")).exit_code == 0
    assert [entry[b"id"] for entry in await store.entries()] == [b"a"]


async def test_a_store_that_keeps_nothing_on_disk_is_said(tmp_path: Path, store: Store) -> None:
    spooled(tmp_path, "a")
    store.options = ()
    await store.start()
    result = await in_thread(tmp_path, store, "drain")
    assert result.exit_code == 0
    assert "appendonly is off" in result.output


async def test_what_was_written_under_other_names_goes_where_it_is_read_today(
    tmp_path: Path, store: Store
) -> None:
    """The prefix and the number of shards were changed while the store was away."""
    slot = claim_own(tmp_path / "spool")
    journal = Journal(slot.path, limit=1 << 24)
    notice = item("a")
    fields = [*notice.fields, "subject", "sid-1"]
    odd = Append("{ncs}:quarantine", ("{ncs}:same:default:d",), ["source", "/agora/x"], b"?")
    journal.put([(Append(notice.stream, notice.marks, fields, b"{}"), 1), (odd, 1)])
    journal.close()
    slot.release()
    await store.start()
    other = {"SIDECAR_REDIS__PREFIX": "new", "SIDECAR_STREAM__SHARDS": "4"}
    result = await asyncio.to_thread(run, tmp_path, store, "drain", **other)
    assert result.exit_code == 0, result.output
    home = Shards("new", 4).of("sid-1")
    assert await store.do("XLEN", home.events) == 1
    assert await store.do("EXISTS", home.seen("default", "a")) == 1
    assert await store.do("XLEN", "{new}:quarantine") == 1
    assert await store.do("EXISTS", "{new}:same:default:d") == 1
    assert await store.do("KEYS", "{ncs}*") == []


async def test_a_file_that_is_held_is_left_alone(tmp_path: Path, store: Store) -> None:
    spooled(tmp_path, "a")
    await store.start()
    slot = claim_own(tmp_path / "spool")
    result = await in_thread(tmp_path, store, "drain")
    slot.release()
    assert "left to process" in result.stderr
    assert await store.entries() == []


def test_an_absent_store_is_one_clear_line_and_nothing_is_lost(
    tmp_path: Path, store: Store
) -> None:
    spooled(tmp_path, "a")
    result = run(tmp_path, store, "drain")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert json.loads(run(tmp_path, store, "status", "--json").stdout)["files"][0]["waiting"] == 1


def test_no_spool_is_nothing_to_show(tmp_path: Path, store: Store) -> None:
    assert "0 file(s)" in run(tmp_path, store, "status").stdout


def test_a_damaged_file_is_said(tmp_path: Path, store: Store) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "spool-0.db").write_bytes(b"no database" * 1000)
    (tmp_path / "spool" / "spool-0.db.damaged-1").write_bytes(b"")
    shown = run(tmp_path, store, "status").stdout
    assert "cannot be read" in shown
    assert "set aside" in shown
