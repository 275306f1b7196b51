"""A file for a proxy or a script: plain (one address a line) or nginx (allow …, last deny all).

Written beside it, checked, and renamed over it; the file before is kept with `.previous` behind its
name. A file that stands there without our mark is somebody else's and is never overwritten. An
nginx file without its last line would let everybody in, so that line is always written and looked
for. A full disk, a missing folder or a failing check leaves the old file in force.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from pathlib import Path

from scheduler.allowlist.addresses import Address, in_order
from scheduler.allowlist.plan import Current, Wish
from scheduler.allowlist.targets import ANYTIME, Permit, TargetError

MARK = "# written by agora-sidecar; changes are overwritten"
MAX_FILE = 1024 * 1024
"""Bytes; a list has a few KiB."""
COMMAND_TIMEOUT = 10.0
"""Seconds for a check or a reload."""
EDITED = "edited"
"""The form of a file of ours that holds something we did not write."""
UNREAD = "not reloaded"
"""The form of a file whose reader was not told of it."""


def _plain(addresses: Sequence[Address]) -> list[str]:
    return [str(address) for address in addresses]


def _nginx(addresses: Sequence[Address]) -> list[str]:
    return [*(f"allow {address};" for address in addresses), "deny all;"]


RENDERERS: dict[str, Callable[[Sequence[Address]], list[str]]] = {"plain": _plain, "nginx": _nginx}


class FileTarget:
    """One generated file.

    `check` runs before the rename, `reload` after it; `{}` in an argument is the new file's path.
    """

    timed = False
    shared = False

    def __init__(
        self, path: Path, *, form: str, check: Sequence[str] = (), reload: Sequence[str] = ()
    ) -> None:
        self._path = path
        self._render = RENDERERS[form]
        self._check = tuple(check)
        self._reload = tuple(reload)
        # On disk, so that a reload is owed even if we are killed between the rename and the reload
        self._owed = path.with_name(f".{path.name}.not-reloaded")
        self.form = form
        self.name = f"file:{path}"

    async def read(self) -> Current | None:
        """What the file admits."""
        text = await asyncio.to_thread(self._read)
        if text is None:
            return None
        lines = text.splitlines()
        if not lines or lines[0] != MARK:
            raise TargetError(
                self.name, "exists and is not ours; move it away, or name another file"
            )
        addresses = _addresses(lines[1:])
        form = self.form if self._text(addresses) == text else EDITED
        owed = await asyncio.to_thread(self._owed.exists)
        if owed and self._reload:
            form = UNREAD
        return Current(dict.fromkeys(addresses), form)

    async def apply(self, wish: Wish, permit: Permit = ANYTIME) -> None:
        """Write, check, rename, reload."""
        if not wish:
            raise TargetError(self.name, "refused: an empty list")
        permit.demand(self.name)
        await self.read()  # never over a file that is not ours
        new = self._path.with_name(f".{self._path.name}.new")
        try:
            await asyncio.to_thread(_write, new, self._text(list(wish)))
            await self._run(self._check, new)
            await asyncio.to_thread(self._swap, new)
        except OSError as error:
            why = f"cannot be written: {error.strerror}; is there a folder, space, permission?"
            raise TargetError(self.name, why) from error
        finally:
            await asyncio.to_thread(new.unlink, missing_ok=True)
        await self._run(self._reload, self._path)
        await asyncio.to_thread(self._owed.unlink, missing_ok=True)

    async def counted(self) -> dict[str, int]:
        """A file counts nothing."""
        return {}

    async def uninstall(self) -> None:
        """Remove the file if it is ours. Whoever reads it must stop doing so first."""
        if await self.read() is not None:
            await asyncio.to_thread(self._path.unlink)
            await asyncio.to_thread(self._owed.unlink, missing_ok=True)

    def _read(self) -> str | None:
        try:
            with self._path.open("rb") as file:
                return file.read(MAX_FILE).decode(errors="replace")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise TargetError(self.name, f"cannot be read: {error.strerror}") from error

    def _text(self, addresses: Sequence[Address]) -> str:
        return "\n".join([MARK, *self._render(in_order(addresses))]) + "\n"

    def _swap(self, new: Path) -> None:
        if self._path.exists():
            previous = self._path.with_name(f"{self._path.name}.previous")
            previous.unlink(missing_ok=True)
            os.link(self._path, previous)
        if self._reload:
            self._owed.touch()
        new.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    async def _run(self, command: Sequence[str], path: Path) -> None:
        if not command:
            return
        words = [word.replace("{}", str(path)) for word in command]
        try:
            process = await asyncio.create_subprocess_exec(
                *words,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
        except OSError as error:
            raise TargetError(self.name, f"{words[0]} cannot be run: {error.strerror}") from error
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT):
                output, _ = await process.communicate()
        except TimeoutError as error:
            process.kill()
            await process.wait()
            raise TargetError(
                self.name, f"{words[0]} took more than {COMMAND_TIMEOUT:.0f} s"
            ) from error
        if process.returncode:
            said = output.decode(errors="replace").strip()[-200:]
            raise TargetError(self.name, f"{words[0]} exited with {process.returncode}: {said}")


def _addresses(lines: Sequence[str]) -> list[Address]:
    found: dict[Address, None] = {}
    for line in lines:
        word = line.removeprefix("allow ").removesuffix(";").strip()
        try:
            found[ip_address(word)] = None
        except ValueError:
            continue
    return list(found)


def _write(path: Path, text: str) -> None:
    with path.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    path.chmod(0o644)
