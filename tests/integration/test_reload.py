"""New settings for a receiver that runs, by SIGHUP: taken whole or left whole, never a value said."""

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agora_sidecar.agora.signatures import sign
from agora_sidecar.cli.document import Document
from agora_sidecar.process.serving import end
from agora_sidecar.process.settings import SettingsError
from receiver.reload import Reload, changes
from tests.integration.processes import SECRET, Sidecar, Store, get, sidecar, until
from tests.integration.test_receiver_process import ALWAYS, notice, send, servers

SECTIONS = ("data_dir", "receiver", "redis", "sources", "stream", "logging")
NEXT = "the-next-secret"


def document(**tables: object) -> Document:
    return Document.model_validate(tables)


def source(name: str, *secrets: str) -> dict[str, object]:
    return {
        "name": name,
        "secrets": [{"label": f"l{n}", "value": v} for n, v in enumerate(secrets)],
    }


def paths(old: Document, new: Document) -> list[tuple[str | int, ...]]:
    return list(changes(old, new))


def test_a_change_is_named_by_its_path() -> None:
    old = document(sources=[source("a", "one"), source("b", "two")])
    new = document(
        sources=[source("a", "one", "more"), source("b", "other")], receiver={"max_age": "1h"}
    )
    assert paths(old, new) == [
        ("receiver", "max_age"),
        ("sources", 0, "secrets", 1),
        ("sources", 1, "secrets", 0, "value"),
    ]
    assert paths(new, new) == []


class Operator:
    """Has settings ready to be read, and remembers which were put in force."""

    def __init__(self, *settings: Document | Exception) -> None:
        self.settings = list(settings)
        self.in_force: list[Document] = []

    def read(self) -> Document:
        found = self.settings.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    def reload(self, started: Document) -> Reload[Document]:
        return Reload(started, sections=SECTIONS, read=self.read, apply=self.in_force.append)


async def test_wrong_settings_are_a_line_for_each_problem_and_change_nothing() -> None:
    operator = Operator(SettingsError(["a: is wrong", "b: is missing"]), RuntimeError("a bug"))
    reload = operator.reload(document())
    with capture_logs() as logs:
        assert not await reload.once()
        assert not await reload.once()
    assert [(line["event"], line["why"]) for line in logs] == [
        ("settings.reload_failed", "a: is wrong"),
        ("settings.reload_failed", "b: is missing"),
        ("settings.reload_failed", "RuntimeError"),
    ]
    assert operator.in_force == []


async def test_what_waits_for_a_restart_is_named_until_it_comes() -> None:
    started = document(sources=[source("a", "one")])
    new = document(
        sources=[source("a", "two")],
        receiver={"path": "/other"},
        logging={"format": "console", "level": "debug"},
        gateway={"token": "not ours"},
    )
    operator = Operator(new, new)
    reload = operator.reload(started)
    with capture_logs() as logs:
        assert await reload.once()
        assert await reload.once()
    first, waiting, second, still = logs
    assert first["changed"] == ["logging.level", "sources[0].secrets[0].value"]
    assert second["changed"] == []
    assert waiting["event"] == "settings.restart_needed"
    assert waiting["changed"] == still["changed"] == ["logging.format", "receiver.path"]
    assert operator.in_force == [new, new]


async def test_it_reloads_each_time_it_is_asked() -> None:
    operator = Operator(document(), document())
    asked = asyncio.Event()
    work = asyncio.create_task(operator.reload(document()).run(asked))
    for count in (1, 2):
        asked.set()
        await until(lambda count=count: len(operator.in_force) == count)  # type: ignore[misc]
    await end([work])


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        store = Store(servers()[0], Path(folder), *ALWAYS)
        await store.start()
        yield store
        store.end()


class Settings:
    """The file of a running receiver."""

    def __init__(self, receiver: Sidecar) -> None:
        self.receiver = receiver
        self.file = receiver.out.with_suffix(".toml")

    async def change(self, *replaced: tuple[str, str], event: str = "settings.reloaded") -> None:
        """Write the file, send the signal, wait until it is answered (`""`: do not)."""
        text = self.file.read_text()
        for old, new in replaced:
            assert old in text
            text = text.replace(old, new)
        self.file.write_text(text)
        before = len(self.receiver.said(event))
        self.receiver.process.send_signal(signal.SIGHUP)
        if event:
            await until(lambda: len(self.receiver.said(event)) > before)


async def status_of(receiver: Sidecar, number: int, secret: str, *, age: float = 0.0) -> int:
    body = notice(number, notifyMs=int((time.time() - age) * 1000))
    return (await send(receiver, body, secret=secret))[0]


@pytest.mark.integration
async def test_secrets_sources_age_and_level_change_without_a_restart(
    store: Store, tmp_path: Path
) -> None:
    async with sidecar("receiver", tmp_path, store.url, ready="/readyz") as receiver:
        settings = Settings(receiver)
        assert await status_of(receiver, 1, SECRET, age=7200) == 200
        await settings.change(
            (f'value = "{SECRET}"', f'value = "{NEXT}"'),
            ("[receiver]", f'{SECOND}[receiver]\nmax_age = "1h"'),
        )
        assert await status_of(receiver, 2, SECRET) == 401
        assert await status_of(receiver, 2, NEXT) == 200
        assert await status_of(receiver, 3, NEXT, age=7200) == 401
        assert await to_second(receiver, 4) == 200
        shown = (await get(receiver.ports.receiver_ops, "/status"))[1]
        assert '"second"' in shown
        (said,) = receiver.said("settings.reloaded")
        assert said["changed"] == ["receiver.max_age", "sources[0].secrets[1].value", "sources[1]"]

        assert receiver.said("event.stored")
        assert await receiver.stop() == 0
    text = receiver.out.read_text()
    assert NEXT not in text and "for-the-second" not in text


@pytest.mark.integration
async def test_a_level_changes_for_loggers_that_have_been_used(
    store: Store, tmp_path: Path
) -> None:
    async with sidecar("receiver", tmp_path, store.url, ready="/readyz") as receiver:
        assert await status_of(receiver, 1, SECRET) == 200
        assert len(receiver.said("event.stored")) == 1
        settings = Settings(receiver)
        level = '[logging]\nlevel = "warning"\n'
        await settings.change(("[receiver]", f"{level}[receiver]"), event="")
        with_path = ('path = "/later"\n', "")
        await settings.change(
            ("[receiver]\n", f"[receiver]\n{with_path[0]}"), event="settings.restart_needed"
        )
        assert await status_of(receiver, 2, SECRET) == 200
        assert len(receiver.said("event.stored")) == 1
        await settings.change((level, ""), with_path)
        assert await status_of(receiver, 3, SECRET) == 200
        assert len(receiver.said("event.stored")) == 2


@pytest.mark.integration
async def test_wrong_settings_leave_everything_as_it_is(store: Store, tmp_path: Path) -> None:
    async with sidecar("receiver", tmp_path, store.url, ready="/readyz") as receiver:
        settings = Settings(receiver)
        wrong = 'max_age = "soon"\ncolour = "red"\n'
        await settings.change(
            ("[receiver]\n", f"[receiver]\n{wrong}"),
            (f'value = "{SECRET}"', f'value = "{NEXT}"'),
            event="settings.reload_failed",
        )
        await until(lambda: len(receiver.said("settings.reload_failed")) == 2)
        assert not receiver.said("settings.reloaded")
        assert await status_of(receiver, 1, SECRET) == 200
        assert await status_of(receiver, 1, NEXT) == 401
        await settings.change((wrong, ""))
        assert await status_of(receiver, 1, NEXT) == 200
        assert "Traceback" not in receiver.out.read_text()


@pytest.mark.integration
@pytest.mark.slow
async def test_every_worker_is_told_and_one_that_has_just_begun_survives_it(
    store: Store, tmp_path: Path
) -> None:
    async with sidecar("receiver", tmp_path, store.url, receiver="workers = 2") as receiver:
        await until(lambda: len(receiver.said("receiver.started")) == 2)
        settings = Settings(receiver)
        await settings.change((f'value = "{SECRET}"', f'value = "{NEXT}"'))
        await until(lambda: len(receiver.said("settings.reloaded")) == 2)
        assert [await status_of(receiver, n, NEXT) for n in range(8)] == [200] * 8

        os.kill(receiver.said("worker.started")[0]["pid"], signal.SIGKILL)
        await until(lambda: len(receiver.said("worker.started")) == 3)
        receiver.process.send_signal(signal.SIGHUP)  # the third does not listen to it yet
        await until(lambda: len(receiver.said("settings.reloaded")) == 4)
        assert len(receiver.said("worker.died")) == 1
        assert await receiver.stop() == 0


SECOND = '[[sources]]\nname = "second"\nsecrets = [{label = "only", value = "for-the-second"}]\n'


async def to_second(receiver: Sidecar, number: int) -> int:
    import aiohttp

    body = notice(number)
    address = f"http://127.0.0.1:{receiver.ports.receiver}/ncs/second"
    async with (
        aiohttp.ClientSession() as session,
        session.post(address, data=body, headers=sign(b"for-the-second", body)) as answer,
    ):
        return answer.status
