"""Files of processes that are gone: adopted, given back and deleted.

Their events were acknowledged: they must reach the stream though whoever took them does not come
back (a worker fewer, another host name on the same volume, a hand-over of the socket).
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog

from agora_sidecar.process.clock import Clock
from agora_sidecar.process.serving import end
from receiver.spool.drain import Drain
from receiver.spool.folder import Slot, claim_orphans
from receiver.spool.journal import JournalError
from receiver.spool.salvage import set_aside
from receiver.spool.spool import Spool

log = structlog.get_logger()

INTERVAL = 10.0
"""Seconds between looks for files that nobody holds any more."""


class Adoption:
    """Looks for orphans for as long as the process runs."""

    def __init__(
        self,
        folder: Path,
        *,
        clock: Clock,
        open_spool: Callable[[Path], Spool],
        drain: Callable[[Spool], Drain],
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._open_spool = open_spool
        self._drain = drain
        self._drains: set[Drain] = set()

    async def offer_again(self) -> None:
        """Every copy in adopted files waits again: the store may have forgotten it."""
        for drain in tuple(self._drains):
            with suppress(JournalError):  # all are offered when the file is opened anew
                await drain.offer_again()

    async def run(self) -> None:
        """Adopt for ever."""
        adopted: set[asyncio.Task[None]] = set()
        try:
            while True:
                try:
                    for slot in claim_orphans(self._folder):
                        adopted.add(asyncio.create_task(self._adopt(slot)))
                except JournalError as error:
                    log.warning("spool.no_adoption", why=str(error))
                await self._clock.sleep(INTERVAL)
                adopted = {task for task in adopted if not task.done()}
        finally:
            await end(adopted)

    async def once(self) -> int:
        """Adopt what nobody holds now, and return when it is given back; how many files."""
        adopted = [self._adopt(slot) for slot in claim_orphans(self._folder)]
        await asyncio.gather(*adopted)
        return len(adopted)

    async def _adopt(self, slot: Slot) -> None:
        spool = self._open_spool(slot.path)
        drain = self._drain(spool)
        self._drains.add(drain)
        try:
            await self._give_back(spool, drain, slot.path)
        except JournalError as error:
            log.error("spool.not_adopted", file=slot.path.name, why=str(error))
        except Exception as error:  # boundary: one file must not end the others
            log.exception("spool.adoption_failed", file=slot.path.name, why=repr(error))
        finally:
            self._drains.discard(drain)
            with suppress(RuntimeError):  # closed already
                await spool.close()
            slot.release()

    async def _give_back(self, spool: Spool, drain: Drain, path: Path) -> None:
        facts = await spool.open()
        if facts.waiting:
            log.info("spool.adopted", file=path.name, waiting=facts.waiting)
        await drain.until_empty()
        altered = await spool.altered()
        await spool.close()
        if altered:
            log.error(
                "spool.rows_kept", file=path.name, rows=altered, set_aside=str(set_aside(path))
            )
        else:
            _delete(path)


def _delete(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
