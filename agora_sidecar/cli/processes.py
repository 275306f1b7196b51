"""`agora-sidecar receiver`, `scheduler` and `up`: the processes as they are deployed.

Exit codes: 0 ended on SIGTERM or SIGINT · 1 could not run · 2 settings are wrong.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
import typer

from agora_sidecar.cli.config import ConfigOption, refuse
from agora_sidecar.cli.document import Document, Process, read_document, reads
from agora_sidecar.process.clock import SystemClock
from agora_sidecar.process.logs import configure, set_level
from agora_sidecar.process.page.board import Board
from agora_sidecar.process.page.recent import Recent
from agora_sidecar.process.service_manager import Manager, Sockets, handed_over
from agora_sidecar.process.serving import ListenError, background
from agora_sidecar.process.serving import run as run_process
from agora_sidecar.process.settings import Loaded, SettingsError
from agora_sidecar.process.workers import end_with_supervisor, supervise, worker_number

if TYPE_CHECKING:
    from receiver.app import Reloading, Replace

log = structlog.get_logger()

Main = Callable[[asyncio.Event], Awaitable[None]]

ROUTINE = ("event.stored", "event.duplicate", "event.spooled")
"""Log events of which a second may have thousands: none is worth a place on the status page."""


def receiver(config: ConfigOption = "") -> None:
    """Receive notifications: verify them and put each once on the stream.

    Example: agora-sidecar receiver --config sidecar.toml
    """
    board = Board(Recent(without=ROUTINE))
    document = _prepare(config, "receiver", board=board).document
    number = worker_number()
    giver = os.getpid() if number is None else os.getppid()
    sockets = handed_over(os.environ, pid=giver, sole="receiver.listen")
    if number is None and document.receiver.workers > 1:
        _supervise(document.receiver.workers, config, sockets)
        return
    manager, asked = Manager(os.environ, pid=os.getpid()), asyncio.Event()

    async def main(stop: asyncio.Event) -> None:
        if number is not None:
            end_with_supervisor(stop)
        mine = _for_worker(document, number or 0)
        reload = _reload(document, config, asked)
        await _receive(mine, stop, board=board, manager=manager, sockets=sockets, reload=reload)

    _run(_told(manager, main), fast=True, reload=asked)


def scheduler(config: ConfigOption = "") -> None:
    """Keep the allow-lists as Agora says, and find out what the callbacks did not say.

    Example: agora-sidecar scheduler --config sidecar.toml
    """
    board = Board(Recent(without=ROUTINE))
    document = _prepare(config, "scheduler", board=board).document
    manager = Manager(os.environ, pid=os.getpid())

    async def main(stop: asyncio.Event) -> None:
        await _schedule(document, stop, board=board, manager=manager)

    _run(_told(manager, main))


def up(config: ConfigOption = "") -> None:
    """Run receiver and scheduler in one process, for one small machine.

    With no redis.url in the settings, on an embedded store whose data is kept in data_dir/store.

    Example: agora-sidecar up --config sidecar.toml
    """
    board = Board(Recent(without=ROUTINE))
    loaded = _prepare(config, "receiver", "scheduler", board=board)
    if loaded.document.receiver.workers > 1:
        typer.echo("receiver.workers: `up` is one process; use 1, or `receiver`", err=True)
        raise typer.Exit(2)
    embedded = loaded.origin("redis", "url") == "default"
    _run(lambda stop: _both(loaded.document, stop, board=board, embedded=embedded))


def _prepare(config: str, *processes: Process, board: Board) -> Loaded[Document]:
    try:
        loaded = read_document(environ=os.environ, file=config, processes=processes)
    except SettingsError as error:
        refuse(error)
    logging = loaded.document.logging
    configure(format=logging.format, level=logging.level, passing=board.recent)
    for warning in loaded.warnings:
        log.warning("settings.unwise", why=warning)
    return loaded


def _told(manager: Manager, main: Main) -> Main:
    """The same work, with the service manager told how it goes."""

    async def told(stop: asyncio.Event) -> None:
        async with background(manager.accompany(stop, SystemClock())):
            await main(stop)

    return told


def _reload(document: Document, config: str, asked: asyncio.Event) -> "Reloading":
    """Reads the settings again whenever `asked` is set, and puts in force what may change."""
    from receiver.reload import Reload

    def read() -> Document:
        return read_document(environ=os.environ, file=config, processes=["receiver"]).document

    def reloading(replace: "Replace") -> Coroutine[Any, Any, None]:
        def apply(found: Document) -> None:
            replace(found.effective_sources, max_age=found.receiver.max_age)
            set_level(found.logging.level)

        sections = [*reads("receiver"), "data_dir"]
        return Reload(document, sections=sections, read=read, apply=apply).run(asked)

    return reloading


def _run(main: Main, *, fast: bool = False, reload: asyncio.Event | None = None) -> None:
    from agora_sidecar.cli.embedded import NoServerError
    from receiver.tls import CertificateError

    try:
        run_process(main, fast=fast, reload=reload)
    except* (ListenError, NoServerError, CertificateError) as group:
        for error in _leaves(group):
            typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


def _supervise(count: int, config: str, sockets: Sockets) -> None:
    arguments = ["receiver", *(["--config", config] if config else [])]
    code = 0
    # workers say themselves when they are ready
    manager, asked = Manager(os.environ, pid=os.getpid(), shared=True), asyncio.Event()

    async def main(stop: asyncio.Event) -> None:
        nonlocal code
        code = await supervise(stop, count, arguments, sockets=sockets, reload=asked)

    _run(_told(manager, main), reload=asked)
    if code:
        raise typer.Exit(code)


def _for_worker(document: Document, number: int) -> Document:
    """Each worker has an ops port of its own: the configured one, the next, and so on."""
    ops = document.receiver.ops_listen
    if not number or not ops.port:
        return document
    ops = replace(ops, port=ops.port + number)
    receiver = document.receiver.model_copy(update={"ops_listen": ops})
    return document.model_copy(update={"receiver": receiver})


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found


async def _receive(
    document: Document,
    stop: asyncio.Event,
    *,
    board: Board,
    manager: Manager | None = None,
    sockets: Sockets | None = None,
    reload: "Reloading | None" = None,
) -> None:
    from receiver.app import run

    def ready(ports: dict[str, int]) -> None:
        if manager is not None:
            manager.ready(f"receives on port {ports['listen']}")

    await run(
        stop,
        data_dir=document.data_dir,
        redis=document.redis,
        stream=document.stream,
        settings=document.receiver,
        sources=document.effective_sources,
        sockets=sockets,
        reload=reload,
        board=board,
        on_ready=ready,
    )


async def _schedule(
    document: Document, stop: asyncio.Event, *, board: Board, manager: Manager | None = None
) -> None:
    from scheduler.app import run

    def ready(_: dict[str, int]) -> None:
        if manager is not None:
            manager.ready("keeps the lists, follows the recordings")

    await run(
        stop,
        data_dir=document.data_dir,
        redis=document.redis,
        stream=document.stream,
        agora=document.agora,
        allowlist=document.allowlist,
        gateway=document.gateway,
        recordings=document.recordings,
        settings=document.scheduler,
        board=board,
        on_ready=ready,
    )


async def _both(document: Document, stop: asyncio.Event, *, board: Board, embedded: bool) -> None:
    if not embedded:
        await _together(document, stop, board=board)
        return
    from agora_sidecar.cli.embedded import EmbeddedStore

    store = EmbeddedStore(Path(document.data_dir) / "store", fsync=True)
    url = await store.start()
    log.info("store.embedded", url=url)
    try:
        redis = document.redis.model_copy(update={"url": type(document.redis.url)(url)})
        await _together(document.model_copy(update={"redis": redis}), stop, board=board)
    finally:
        await store.stop()


async def _together(document: Document, stop: asyncio.Event, *, board: Board) -> None:
    async def one(process: Awaitable[None]) -> None:
        try:
            await process
        finally:
            stop.set()  # one without the other is half a sidecar: end both, a supervisor restarts

    async with asyncio.TaskGroup() as group:
        group.create_task(one(_receive(document, stop, board=board)))
        group.create_task(one(_schedule(document, stop, board=board)))
