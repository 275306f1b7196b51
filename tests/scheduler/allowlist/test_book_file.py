import json
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from scheduler.allowlist.addresses import Book, observe
from scheduler.allowlist.book_file import BookFile, BookFileError

A, B = ip_address("8.8.8.8"), ip_address("2606:4700::1111")


def some_book() -> Book:
    book = observe(Book(), {A, B}, now=1000.0, grace=100.0)
    for _ in range(3):
        book = observe(book, {A}, now=1001.0, grace=100.0)
    return book


@pytest.fixture
def file(tmp_path: Path) -> BookFile:
    return BookFile(tmp_path / "deep" / "book")


def test_what_was_written_is_read(file: BookFile) -> None:
    file.save(some_book(), now=2000.0)
    assert file.load(now=2000.0) == some_book()
    assert not list(file.path.parent.glob(".*"))


def test_grace_went_on_while_nobody_was_there(file: BookFile) -> None:
    file.save(some_book(), now=2000.0)
    assert file.load(now=2030.0).retiring == {B: 70.0}
    assert set(file.load(now=3000.0).entries) == {A}


def test_a_clock_that_went_back_extends_grace(file: BookFile) -> None:
    file.save(some_book(), now=2000.0)
    assert file.load(now=5.0).retiring == {B: 100.0}


def test_no_file_is_an_empty_book(file: BookFile) -> None:
    assert file.load(now=0.0) == Book()


@pytest.mark.parametrize("cut", [0, 1, 10, 64, 65, 100, -1, -2])
def test_a_damaged_file_is_set_aside_and_reported_not_trusted(file: BookFile, cut: int) -> None:
    file.save(some_book(), now=2000.0)
    whole = file.path.read_bytes()
    damaged = whole[:cut] if cut != -1 else whole.replace(b"8.8.8.8", b"9.9.9.9")
    file.path.write_bytes(damaged if cut != -2 else b"\xff" * 50)
    with capture_logs() as logs:
        assert file.load(now=2000.0) == Book()
    assert [entry["event"] for entry in logs] == ["allowlist.book_damaged"]
    assert not file.path.exists()
    assert file.path.with_name("book.damaged").exists()


def test_after_a_damaged_file_new_revisions_come_behind_those_kept(file: BookFile) -> None:
    for revision in range(100, 170):
        file.keep(Book(revision=revision), now=2000.0)
    file.save(some_book(), now=2000.0)
    file.path.write_bytes(b"\xff")
    book = observe(file.load(now=2000.0), {A}, now=2000.0, grace=1.0)
    file.keep(book, now=2000.0)
    assert file.kept()[-1] == book.revision == 170


def test_another_version_is_not_guessed_at(file: BookFile) -> None:
    file.save(some_book(), now=2000.0)
    body = json.loads(file.path.read_bytes().split(b"\n")[1]) | {"version": 2}
    from hashlib import sha256

    raw = json.dumps(body).encode()
    file.path.write_bytes(sha256(raw).hexdigest().encode() + b"\n" + raw)
    assert file.load(now=2000.0) == Book()


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BookFileError, match="file/book"):
        BookFile(tmp_path / "file" / "book").save(some_book(), now=0.0)


@given(st.binary())
def test_any_bytes_are_an_empty_book(raw: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "book"
        path.write_bytes(raw)
        with capture_logs():
            assert BookFile(path).load(now=0.0) == Book()
