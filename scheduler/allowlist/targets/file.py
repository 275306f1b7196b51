"""A file for a proxy or a script, checked, renamed over the old one, and its reader told of it.

The reader is told by a command (`reload`), or, where it is HAProxy, over its admin socket, which
needs no reload. A full disk, a missing folder or a failing check leaves the old file in force. A
file that stands there without our mark is somebody else's and is never overwritten.
"""

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from scheduler.allowlist.addresses import Address
from scheduler.allowlist.formats import FORMATS, Format, FormatError, from_template, is_ours
from scheduler.allowlist.haproxy import HaproxyError, Runtime
from scheduler.allowlist.owned_file import OwnedFile, OwnedFileError
from scheduler.allowlist.plan import Current, Wish
from scheduler.allowlist.programs import ProgramError, run
from scheduler.allowlist.targets import ANYTIME, Permit, Remark, TargetError

COMMAND_TIMEOUT = 10.0
"""Seconds for a check or a reload."""
EDITED = "edited"
"""The form of a file of ours that holds something we did not write."""
UNREAD = "not reloaded"
"""The form of a file whose reader was not told of it, or admits something else."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads the file; `{}` in a word of a command is the file's path.

    `check` runs on the new file before the rename, `reload` after it; `haproxy` is a running
    HAProxy's admin socket.
    """

    check: Sequence[str] = ()
    reload: Sequence[str] = ()
    haproxy: Path | None = None


class FileTarget:
    """One generated file. With `template` its text is what that file describes."""

    timed = False
    shared = False

    def __init__(
        self, path: Path, *, form: str, template: Path | None = None, reader: Reader | None = None
    ) -> None:
        self._file = OwnedFile(path)
        self._path = path
        self._template = template
        self._reader = reader or Reader()
        socket = self._reader.haproxy
        self._runtime = Runtime(socket, path) if socket else None
        self.form = form
        self.name = f"file:{path}"

    async def read(self) -> Current | None:
        """What the file admits."""
        async with self._errors():
            text = await asyncio.to_thread(self._file.read)
            if not text:
                return None
            if not is_ours(text):
                why = "exists and is not ours; move it away, or name another file"
                raise TargetError(self.name, why)
            form = await self._format()
            found = form.read(text)
            return Current(dict.fromkeys(found), await self._standing(form, text, found))

    async def apply(self, wish: Wish, permit: Permit = ANYTIME) -> None:
        """Write, check, rename, tell."""
        if not wish:
            raise TargetError(self.name, "refused: an empty list")
        permit.demand(self.name)
        await self.read()  # never over a file that is not ours
        try:
            async with self._errors():
                text = (await self._format()).write(wish)
                await asyncio.to_thread(self._file.prepare, text)
                await self._run(self._reader.check, self._file.new)
                permit.demand(self.name)
                await asyncio.to_thread(self._file.swap, owed=bool(self._reader.reload))
        finally:
            await asyncio.to_thread(self._file.discard)
        async with self._errors():
            await self._tell(wish)

    async def counted(self) -> dict[str, int]:
        """A file counts nothing."""
        return {}

    async def uninstall(self) -> None:
        """Remove the file if it is ours. Whoever reads it must stop doing so first."""
        if await self.read() is not None:
            async with self._errors():
                await asyncio.to_thread(self._file.remove)

    async def examine(self) -> Sequence[Remark]:
        """Whether its folder can be written, by us alone, and whether HAProxy answers."""
        found = list(await asyncio.to_thread(_of_folder, self._path.parent))
        if self._runtime is not None:
            try:
                await self._runtime.admitted()
            except HaproxyError as error:
                cure = "See docs/targets.md, HAProxy; the file is read when HAProxy starts"
                found.append(Remark("problem", str(error), cure))
        return found

    async def _format(self) -> Format:
        if self._template is None:
            return FORMATS[self.form]
        try:
            return from_template(await asyncio.to_thread(self._template.read_text, "utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is not UTF-8"
            raise FormatError(f"the template {self._template} cannot be read: {why}") from error

    async def _standing(self, form: Format, text: str, found: Iterable[Address]) -> str:
        if not form.is_whole(text):
            return EDITED
        owed = await asyncio.to_thread(self._file.is_owed)
        if owed and self._reader.reload:
            return UNREAD
        try:
            known = self._runtime is None or await self._runtime.admitted() == set(found)
        except HaproxyError:  # said when it is to be told; it reads the file when it starts
            known = False
        return self.form if known else UNREAD

    async def _tell(self, addresses: Collection[Address]) -> None:
        if self._runtime is not None:
            await self._runtime.replace(addresses)
        await self._run(self._reader.reload, self._path)
        await asyncio.to_thread(self._file.told)

    async def _run(self, command: Sequence[str], path: Path) -> None:
        if command:
            words = [word.replace("{}", str(path)) for word in command]
            (await run(words, within=COMMAND_TIMEOUT)).demand_success()

    @asynccontextmanager
    async def _errors(self) -> AsyncIterator[None]:
        """Whatever goes wrong inside is this target's error."""
        try:
            yield
        except (OwnedFileError, FormatError, ProgramError, HaproxyError) as error:
            raise TargetError(self.name, str(error)) from error


def _of_folder(folder: Path) -> Iterator[Remark]:
    if not os.access(folder, os.W_OK | os.X_OK):
        cure = "Let this user write there: a file is replaced by a rename"
        yield Remark("problem", f"{folder} cannot be written", cure)
    elif folder.stat().st_mode & (stat.S_IWOTH | stat.S_ISVTX) == stat.S_IWOTH:
        cure = "Take that right away, or name a folder of its own"
        yield Remark("warning", f"{folder} can be written by everybody", cure)
