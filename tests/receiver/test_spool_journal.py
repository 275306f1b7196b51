import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agora_sidecar.stream import Append
from receiver.spool.folder import claim_orphans, claim_own, damaged, files
from receiver.spool.journal import Journal, JournalError, look
from receiver.spool.salvage import open_journal

LIMIT = 64 << 20


def item(name: str, *, data: bytes = b"{}") -> Append:
    return Append("{ncs}:events", (name,), ["id", name, "origin", "webhook"], data)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool-0.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    with closing(Journal(path, limit=LIMIT)) as found:
        yield found


def names(journal: Journal, after: int = 0) -> list[str]:
    rows = journal.waiting(after=after, count=1000)
    return [row.item.marks[0] if row.item else "altered" for row in rows]


def test_what_was_put_comes_back_in_order_byte_for_byte(journal: Journal) -> None:
    odd = item("b", data=b"\x00\xff\n")
    journal.put([(item("a"), 5), (odd, 6)])
    rows = journal.waiting(after=0, count=10)
    assert [(row.item, row.received_ms) for row in rows] == [(item("a"), 5), (odd, 6)]
    assert [row.id for row in journal.waiting(after=rows[0].id, count=10)] == [rows[1].id]


def test_each_commit_is_forced_to_disk(journal: Journal) -> None:
    """A power cut cannot be tried here: this is what SQLite documents to survive one."""
    db = journal._db
    assert db is not None
    assert db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL: an fsync for each commit
    assert db.execute("PRAGMA journal_mode").fetchone() == (b"wal",)


def test_a_retry_of_a_notice_makes_no_second_row(journal: Journal) -> None:
    journal.put([(item("a"), 5)])
    journal.put([(item("a", data=b"retry"), 9), (item("b"), 9)])
    assert names(journal) == ["a", "b"]


def test_what_the_store_has_is_deleted_or_kept_as_a_copy_to_be_offered_again(
    journal: Journal,
) -> None:
    journal.put([(item("a"), 1), (item("b"), 2), (item("c"), 3)])
    a, b, _ = (row.id for row in journal.waiting(after=0, count=3))
    journal.taken([a], keep_at=None)
    journal.taken([b], keep_at=1000)
    journal.put([(item("d"), 4)], copies_at=2000)
    assert names(journal) == ["c"]
    facts = journal.facts()
    assert (facts.waiting, facts.copies, facts.oldest_ms) == (1, 2, 3)

    assert journal.drop_copies(before=1500) == 1
    assert journal.offer_again() == 1
    assert names(journal) == ["c", "d"]


def test_a_full_one_refuses_the_whole_commit(path: Path) -> None:
    with closing(Journal(path, limit=200_000)) as journal:
        journal.put([(item("a", data=bytes(100_000)), 1)])
        with pytest.raises(JournalError, match="full") as refusal:
            journal.put([(item("b"), 1), (item("c", data=bytes(100_000)), 1)])
        assert refusal.value.kind == "full"
        assert names(journal) == ["a"]


def test_an_empty_one_gives_its_space_back(journal: Journal, path: Path) -> None:
    journal.put([(item(f"{n}", data=bytes(10_000)), n) for n in range(200)])
    journal.taken([row.id for row in journal.waiting(after=0, count=200)], keep_at=None)
    journal.shrink()
    assert path.stat().st_size < 100_000


def test_older_copies_make_room(journal: Journal) -> None:
    journal.put([(item(name), 1) for name in "abcd"], copies_at=1)
    assert journal.drop_oldest_copies() == 2
    journal.offer_again()
    assert names(journal) == ["c", "d"]


def test_a_row_that_the_disk_has_altered_is_told_from_the_others(
    journal: Journal, path: Path
) -> None:
    journal.put([(item(name, data=b"body of " + name.encode()), 1) for name in "abc"])
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE notices SET data = X'00' WHERE mark = 'b'")
        db.execute("UPDATE notices SET fields = 5 WHERE mark = 'c'")
    assert names(journal) == ["a", "altered", "altered"]
    journal.set_aside([row.id for row in journal.waiting(after=0, count=9) if row.item is None])
    assert names(journal) == ["a"]
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT mark FROM altered ORDER BY mark").fetchall() == [("b",), ("c",)]


def test_somebody_else_may_look_while_it_is_held(journal: Journal, path: Path) -> None:
    journal.put([(item("a"), 7)])
    assert look(path).waiting == 1
    assert look(path).oldest_ms == 7


@pytest.mark.parametrize("there", ["folder", "no folder"])
def test_what_cannot_be_opened_is_one_error(tmp_path: Path, there: str) -> None:
    path = tmp_path if there == "folder" else tmp_path / "no" / "such"
    with pytest.raises(JournalError):
        Journal(path, limit=LIMIT)


def test_a_file_that_is_no_database_is_set_aside_and_a_new_one_begun(path: Path) -> None:
    path.write_bytes(b"this was never a database, but it may be somebody's" * 100)
    journal, salvaged = open_journal(path, limit=LIMIT)
    with closing(journal):
        assert salvaged
        assert names(journal) == []
        (aside,) = damaged(path.parent)
        assert aside.read_bytes().startswith(b"this was never")


def test_a_damaged_name_is_damage_as_well(path: Path) -> None:
    with closing(Journal(path, limit=LIMIT)) as journal:
        journal.put([(item("a"), 1)])
        journal.shrink()
    path.write_bytes(
        path.read_bytes().replace(b"tablenoticesnotices", b"tablenot\xaacesnot\xaaces")
    )
    journal, salvaged = open_journal(path, limit=LIMIT)
    with closing(journal):
        assert salvaged
        assert names(journal) == []
    assert damaged(path.parent)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_damaged_file_gives_back_what_can_be_read_and_nothing_altered(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    chance = random.Random(seed)
    path = tmp_path_factory.mktemp("salvage") / "spool-0.db"
    journal = Journal(path, limit=LIMIT)
    bodies = {f"n{n}": chance.randbytes(chance.randrange(1, 900)) for n in range(300)}
    journal.put([(item(name, data=data), 1) for name, data in bodies.items()])
    journal.shrink()  # what is in the log goes to the file
    journal.close()
    _damage(path, chance)

    journal, _ = open_journal(path, limit=LIMIT)
    with closing(journal):
        rows = journal.waiting(after=0, count=1000)
        found = {row.item.marks[0]: row.item.data for row in rows if row.item}
    assert all(bodies[name] == data for name, data in found.items())


def _damage(path: Path, chance: random.Random) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        for _ in range(chance.randrange(1, 6)):
            file.seek(chance.randrange(0, size))
            file.write(chance.randbytes(chance.randrange(1, 600)))
        if chance.random() < 0.3:
            file.truncate(chance.randrange(1, size))


def test_one_damaged_page_costs_only_its_rows(path: Path) -> None:
    with closing(Journal(path, limit=LIMIT)) as journal:
        journal.put([(item(f"n{n}", data=bytes(1000)), 1) for n in range(300)])
        journal.shrink()
    with path.open("r+b") as file:
        file.seek(4096 * 40)
        file.write(b"\xff" * 4096)
    journal, salvaged = open_journal(path, limit=LIMIT)
    with closing(journal):
        assert salvaged
        assert len(names(journal)) >= 280
    assert damaged(path.parent)


def test_a_salvage_that_was_interrupted_is_finished(path: Path) -> None:
    with closing(Journal(path.with_name("spool-0.db.salvage"), limit=LIMIT)) as finished:
        finished.put([(item("a"), 1)])
    journal, _ = open_journal(path, limit=LIMIT)  # the damaged one had just been set aside
    with closing(journal):
        assert names(journal) == ["a"]


def test_the_log_of_a_damaged_file_does_not_get_into_the_salvaged_one(path: Path) -> None:
    """Killed between setting the damaged file aside and setting its log aside."""
    with closing(Journal(path, limit=LIMIT)) as one:
        one.put([(item(f"old{n}", data=bytes(3000)), 1) for n in range(20)])
        log = path.with_name(path.name + "-wal").read_bytes()
    path.unlink()
    with closing(Journal(path.with_name("spool-0.db.salvage"), limit=LIMIT)) as finished:
        finished.put([(item(f"n{n}"), 1) for n in range(5)])
    path.with_name(path.name + "-wal").write_bytes(log)
    journal, _ = open_journal(path, limit=LIMIT)
    with closing(journal):
        assert names(journal) == [f"n{n}" for n in range(5)]
    (kept,) = path.parent.glob("*.damaged-*-wal")
    assert kept.read_bytes() == log


def test_a_salvage_that_was_interrupted_is_an_orphan_as_well(path: Path) -> None:
    with closing(Journal(path.with_name("spool-0.db.salvage"), limit=LIMIT)) as finished:
        finished.put([(item("a"), 1)])
    (orphan,) = claim_orphans(path.parent)
    assert orphan.path == path
    orphan.release()


@pytest.mark.parametrize("odd", [2**63 - 1, -5])
def test_a_number_that_is_damage_keeps_a_salvage_neither_busy_nor_from_the_rest(
    path: Path, odd: int
) -> None:
    with closing(Journal(path, limit=LIMIT)) as journal:
        journal.put([(item(f"n{n}", data=bytes(1000)), 1) for n in range(100)])
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE sqlite_sequence SET seq = ?", (odd,))
        db.execute("UPDATE notices SET id = ? WHERE mark = 'n50'", (odd,))
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.seek(4096 * 12)
        file.write(b"\xff" * 4096)
    journal, salvaged = open_journal(path, limit=LIMIT)
    with closing(journal):
        assert salvaged
        assert len(names(journal)) >= 90
        journal.put([(item("next"), 1)])
        assert names(journal)[-1] == "next"


CRASHES = """
import os, sys
from pathlib import Path
from agora_sidecar.stream import Append
from receiver.spool.journal import Journal
journal = Journal(Path(sys.argv[1]), limit=1 << 30)
for number in range(100_000):
    journal.put([(Append("s", (f"{number}.{i}",), ["id", "x"], os.urandom(300)), 1) for i in range(3)])
    print(number, flush=True)
"""


def test_what_was_committed_survives_a_kill_at_any_moment(path: Path) -> None:
    for crash in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", CRASHES, str(path)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            said = [process.stdout.readline() for _ in range(7 + crash * 13)]
            process.kill()
            rest = process.stdout.read().split()
        last = int(rest[-1] if rest else said[-1])
        with closing(Journal(path, limit=LIMIT)) as journal:
            rows = journal.waiting(after=0, count=10_000)
        there = {row.item.marks[0] for row in rows if row.item}
        assert {f"{number}.{i}" for number in range(last + 1) for i in range(3)} <= there
        assert len(there) % 3 == 0  # a commit is there whole or not at all
        path.unlink()


def test_each_process_has_a_file_of_its_own_and_free_ones_are_adopted(tmp_path: Path) -> None:
    first, second = claim_own(tmp_path), claim_own(tmp_path)
    assert [slot.path.name for slot in (first, second)] == ["spool-0.db", "spool-1.db"]
    for slot in (first, second):
        Journal(slot.path, limit=LIMIT).close()
    assert [found.holder for found in files(tmp_path)] == [os.getpid(), os.getpid()]
    assert list(claim_orphans(tmp_path)) == []

    second.release()
    assert [found.holder for found in files(tmp_path)] == [os.getpid(), 0]
    (orphan,) = claim_orphans(tmp_path)
    assert orphan.path == second.path
    orphan.release()
    first.release()


def test_a_folder_that_cannot_be_made_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="file"):
        claim_own(tmp_path / "file" / "spool")
