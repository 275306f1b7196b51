"""Real nginx and real HAProxy read what we write, while clients go on connecting.

Sources are addresses of loopback: 127.0.0.2 is listed all the time, 127.0.0.66 never.
"""

import asyncio
import os
import shutil
import socket
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path

import pytest

from scheduler.allowlist.targets import Target, TargetError
from scheduler.allowlist.targets.file import UNREAD, FileTarget, Reader
from tests.scheduler.allowlist.contract import V6, A, B, TargetContract, lacks

LISTED, STRANGER = "127.0.0.2", "127.0.0.66"
CHANGES = [8, pytest.param(50, marks=pytest.mark.slow)]
CHECK = Path(__file__).parents[2] / "deploy" / "nginx" / "check.sh"
PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"

pytestmark = pytest.mark.integration


def found(program: str) -> str:
    path = shutil.which(program, path=PATH)
    if path is None:
        pytest.skip(f"{program} is not installed")
    return path


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


async def asked(source: str, port: int) -> str:
    """The status that a request from this source gets, or the name of the failure."""
    try:
        async with asyncio.timeout(20):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, local_addr=(source, 0)
            )
            writer.write(b"GET / HTTP/1.0\r\nHost: x\r\n\r\n")
            head = await reader.readline()
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
    except (OSError, TimeoutError) as error:
        return type(error).__name__
    return head.split()[1].decode() if head else "nothing"


async def until(port: int, source: str, status: str) -> None:
    async with asyncio.timeout(20):
        while await asked(source, port) != status:  # noqa: ASYNC110 - a proxy sets no event
            await asyncio.sleep(0.02)


@contextmanager
def running(words: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


async def clients(port: int, changes: Callable[[], Awaitable[None]]) -> dict[str, Counter[str]]:
    """What everybody was answered while the changes were made."""
    answers = {LISTED: Counter[str](), STRANGER: Counter[str]()}
    ended = asyncio.Event()

    async def keep_asking(source: str) -> None:
        while not ended.is_set():
            answers[source][await asked(source, port)] += 1

    tasks = [asyncio.create_task(keep_asking(s)) for s in (LISTED, LISTED, LISTED, STRANGER)]
    try:
        await changes()
    finally:
        ended.set()
        await asyncio.gather(*tasks)
    return answers


async def change(target: Target, changes: int) -> None:
    for number in range(changes):
        other = ip_address(f"127.0.1.{number + 1}")
        wish = {ip_address(LISTED): None, other: None}
        await target.apply(wish)
        assert not lacks(target, await target.read(), wish)


class Nginx:
    def __init__(self, folder: Path) -> None:
        self.program, self.port = found("nginx"), free_port()
        self.folder, self.list = folder, folder / "allow.conf"
        self.config = folder / "nginx.conf"
        (folder / "index.html").write_text("in")
        self.configure("allow 127.0.0.9;\ndeny all;\n")

    def configure(self, listed: str, *, rest: str = "") -> None:
        self.list.write_text(f"# written by agora-sidecar\n{listed}")
        temp = "".join(
            f"{kind}_temp_path {self.folder}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        user = "user root;\n" if os.geteuid() == 0 else ""  # its workers read our folder
        self.config.write_text(
            f"{user}daemon off;\nworker_processes 2;\npid {self.folder}/pid;\n"
            f"error_log {self.folder}/error.log;\nevents {{}}\nhttp {{\naccess_log off;\n{temp}"
            f"server {{ listen 127.0.0.1:{self.port}; root {self.folder};\n"
            f"include {self.list};\n{rest}\n}}\n}}\n"
        )

    def words(self, *more: str) -> list[str]:
        return [self.program, "-e", str(self.folder / "early.log"), "-c", str(self.config), *more]

    def target(self) -> FileTarget:
        reader = Reader(check=[str(CHECK), "{}"], reload=self.words("-s", "reload"))
        return FileTarget(self.list, form="nginx", reader=reader)


@pytest.fixture
async def nginx(tmp_path: Path) -> AsyncIterator[Nginx]:
    server = Nginx(tmp_path)
    with running(server.words()):
        await until(server.port, "127.0.0.9", "200")
        yield server


@pytest.mark.parametrize("changes", CHANGES)
async def test_nginx_answers_every_listed_request_and_no_other_while_it_is_reloaded(
    nginx: Nginx, changes: int
) -> None:
    target = nginx.target()
    await target.apply({ip_address(LISTED): None})
    await until(nginx.port, LISTED, "200")
    await until(nginx.port, "127.0.0.9", "403")
    answers = await clients(nginx.port, lambda: change(target, changes))
    assert answers[LISTED].keys() == {"200"}
    assert answers[STRANGER].keys() == {"403"}
    assert answers[LISTED].total() > changes
    await until(nginx.port, f"127.0.1.{changes}", "200")
    await until(nginx.port, "127.0.1.1", "403")


async def test_a_file_that_nginx_cannot_read_never_takes_its_place(nginx: Nginx) -> None:
    """WordOps#420: an error page was written into nginx' configuration."""
    for text in (
        "<html>Service unavailable</html>",
        "allow 127.0.0.2;\n",
        "allow nobody;\ndeny all;",
    ):
        bad = nginx.folder / "bad"
        bad.write_text(text)
        ended = subprocess.run([str(CHECK), str(bad)], capture_output=True, check=False)
        assert ended.returncode != 0, text
        assert ended.stderr


async def test_a_reload_of_a_configuration_that_is_broken_elsewhere_is_said(nginx: Nginx) -> None:
    nginx.configure("allow 127.0.0.9;\ndeny all;\n", rest="no_such_directive;")
    target = nginx.target()
    with pytest.raises(TargetError, match="no_such_directive"):
        await target.apply({ip_address(LISTED): None})
    current = await target.read()
    assert current is not None
    assert current.form == UNREAD
    assert await asked("127.0.0.9", nginx.port) == "200"  # the old one goes on
    assert await asked(STRANGER, nginx.port) == "403"


class Haproxy:
    def __init__(self, folder: Path) -> None:
        self.program, self.port = found("haproxy"), free_port()
        self.list, self.socket = folder / "allow.acl", folder / "admin.sock"
        self.config = folder / "haproxy.cfg"
        self.list.touch()
        self.config.write_text(
            f"global\n stats socket {self.socket} mode 600 level admin\n"
            "defaults\n mode http\n timeout connect 5s\n timeout client 20s\n timeout server 20s\n"
            f"frontend f\n bind 127.0.0.1:{self.port}\n acl listed src -f {self.list}\n"
            " http-request deny unless listed\n http-request return status 200\n"
        )

    def words(self) -> list[str]:
        return [self.program, "-q", "-db", "-f", str(self.config)]

    def target(self) -> FileTarget:
        return FileTarget(self.list, form="haproxy", reader=Reader(haproxy=self.socket))


@pytest.fixture
async def haproxy(tmp_path: Path) -> AsyncIterator[Haproxy]:
    server = Haproxy(tmp_path)
    with running(server.words()):
        await until(server.port, LISTED, "403")
        yield server


@pytest.mark.parametrize("changes", CHANGES)
async def test_haproxy_answers_every_listed_request_and_no_other_while_it_is_changed(
    haproxy: Haproxy, changes: int
) -> None:
    target = haproxy.target()
    await target.apply({ip_address(LISTED): None})
    assert await asked(LISTED, haproxy.port) == "200"
    answers = await clients(haproxy.port, lambda: change(target, changes))
    assert answers[LISTED].keys() == {"200"}
    assert answers[STRANGER].keys() == {"403"}
    assert answers[LISTED].total() > changes
    assert await asked(f"127.0.1.{changes}", haproxy.port) == "200"
    assert await asked("127.0.1.1", haproxy.port) == "403"


class TestHaproxy(TargetContract):
    @pytest.fixture
    def target(self, haproxy: Haproxy) -> Target:
        self.haproxy = haproxy
        return haproxy.target()

    async def others(self) -> object:
        return self.haproxy.config.read_text()

    async def test_uninstalling_leaves_nothing_and_may_be_repeated(self, target: Target) -> None:
        """The running HAProxy goes on with what it knows: it ends with its configuration."""
        await super().test_uninstalling_leaves_nothing_and_may_be_repeated(target)


async def test_a_haproxy_that_came_back_reads_the_file(haproxy: Haproxy, tmp_path: Path) -> None:
    await haproxy.target().apply({A: None, ip_address(LISTED): None})
    again = Haproxy(tmp_path)
    again.list.write_text(haproxy.list.read_text())
    with running(again.words()):
        await until(again.port, LISTED, "200")
        assert await asked(STRANGER, again.port) == "403"


async def test_what_somebody_changed_in_the_running_haproxy_is_put_right(haproxy: Haproxy) -> None:
    target = haproxy.target()
    wish = {A: None, V6: None}
    await target.apply(wish)
    reader, writer = await asyncio.open_unix_connection(str(haproxy.socket))
    writer.write(f"add acl {haproxy.list} {STRANGER}\n".encode())
    await reader.read()
    writer.close()
    assert await asked(STRANGER, haproxy.port) == "200"
    assert lacks(target, await target.read(), wish)
    await target.apply(wish)
    assert await asked(STRANGER, haproxy.port) == "403"
    assert not lacks(target, await target.read(), wish)


async def test_a_haproxy_that_is_gone_gets_its_file_and_is_told_later(tmp_path: Path) -> None:
    server = Haproxy(tmp_path)
    target = server.target()
    with pytest.raises(TargetError, match=r"admin\.sock cannot be used"):
        await target.apply({B: None})
    assert "101.36.1.2" in server.list.read_text()
    current = await target.read()
    assert current is not None
    assert (set(current.admitted), current.form) == ({B}, UNREAD)


async def test_an_acl_that_haproxy_does_not_know_is_one_clear_error(haproxy: Haproxy) -> None:
    other = haproxy.list.with_name("other.acl")
    target = FileTarget(other, form="haproxy", reader=Reader(haproxy=haproxy.socket))
    with pytest.raises(TargetError, match=r"loaded no ACL with -f .*other\.acl"):
        await target.apply({A: None})
