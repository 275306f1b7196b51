"""What the service manager hands to a process, and what it is told: systemd's two protocols.

Sockets (sd_listen_fds): the manager listens and hands the listening socket over. It outlives the
process, so that connections that come during a restart wait for the next one. News (sd_notify):
one datagram each. Where there is no manager nothing is handed over and nothing is told; telling
never fails.
"""

import asyncio
import os
import socket
from collections.abc import MutableMapping, Sequence
from contextlib import suppress
from ipaddress import ip_address

from agora_sidecar.process.clock import Clock

FIRST = 3
"""The first descriptor that is handed over, after standard input, output and error."""
MOST = 64
"""Sockets that are handed over at most; more is no count."""
_FAMILIES = (socket.AF_INET, socket.AF_INET6)


class Sockets:
    """The listening sockets that were handed over: their names (`FileDescriptorName=`), by the
    order of their descriptors from `first` on.
    """

    def __init__(self, names: Sequence[str] = (), *, first: int = FIRST) -> None:
        self._names = tuple(names)
        self._left = dict(enumerate(self._names, first))
        self._numbers = tuple(self._left)

    @property
    def descriptors(self) -> tuple[int, ...]:
        """Their numbers, for `pass_fds` of a process that takes them in our place."""
        return self._numbers

    def environment(self, *, pid: int) -> dict[str, str]:
        """What such a process is told, by a giver with this pid; nothing where there is none."""
        if not self._names:
            return {}
        count, names = str(len(self._names)), ":".join(self._names)
        return {"LISTEN_PID": str(pid), "LISTEN_FDS": count, "LISTEN_FDNAMES": names}

    def take(self, name: str, *, host: str, port: int) -> socket.socket | None:
        """The socket of that name, once; none: the process has to listen by itself.

        Raises:
            ValueError: there are several, or it does not listen there; says what to change.
        """
        found = [number for number, known in self._left.items() if known == name]
        if not found:
            return None
        if len(found) > 1:
            raise ValueError(f"{len(found)} sockets of that name were handed over; keep one")
        if problem := _problem(found[0], host, port):
            raise ValueError(f"the socket that was handed over {problem}")
        del self._left[found[0]]
        return socket.socket(fileno=found[0])


def handed_over(environ: MutableMapping[str, str], *, pid: int, sole: str = "") -> Sockets:
    """The sockets that this environment tells of, removed from it: they are handed over once.

    Args:
        environ: the environment.
        pid: whom they must be meant for; in a worker its supervisor, who passes them on.
        sole: the name of the only one, whatever the manager calls it.
    """
    meant_for = environ.pop("LISTEN_PID", "")
    count = environ.pop("LISTEN_FDS", "")
    names = environ.pop("LISTEN_FDNAMES", "").split(":")
    if meant_for != str(pid) or not (count.isdecimal() and 0 < int(count[:4]) <= MOST):
        return Sockets()
    for number in range(FIRST, FIRST + int(count)):
        with suppress(OSError):  # one that is not open is said when it is taken
            os.set_inheritable(number, False)
    padded = (names + [""] * int(count))[: int(count)]
    return Sockets([sole] if sole and len(padded) == 1 else padded)


def _problem(number: int, host: str, port: int) -> str:
    """Why a descriptor cannot be listened on in place of an address; nothing: it can."""
    try:
        copy = socket.socket(fileno=os.dup(number))
    except OSError as error:
        return f"is none: {error.strerror}"
    with copy:
        if copy.family not in _FAMILIES:
            return "is not of the internet; ListenStream= must be an address and a port"
        if copy.type != socket.SOCK_STREAM:
            return "is no stream; the socket unit needs ListenStream="
        if not copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return "does not listen; the socket unit needs Accept=no"
        there, its_port = copy.getsockname()[:2]
    if _same(host, there) and port in {0, its_port}:
        return ""
    return f"listens on {there} port {its_port}; make ListenStream= and this setting the same"


def _same(host: str, there: str) -> bool:
    with suppress(ValueError):
        return ip_address(host) == ip_address(there.partition("%")[0])
    with suppress(OSError):  # a name, such as localhost
        return there in {found[4][0] for found in socket.getaddrinfo(host, None)}
    return False


class Manager:
    """The service manager as the one to tell; silent where there is none.

    Takes its variables out of `environ`, so that programs we start do not speak in our name;
    `shared` leaves them for workers, who tell when they are ready.
    """

    def __init__(
        self, environ: MutableMapping[str, str], *, pid: int, shared: bool = False
    ) -> None:
        self._to = environ.get("NOTIFY_SOCKET", "")
        every = environ.pop("WATCHDOG_USEC", "")
        meant_for = environ.pop("WATCHDOG_PID", str(pid))
        if not shared:
            environ.pop("NOTIFY_SOCKET", None)
        watched = every.isdecimal() and meant_for == str(pid)
        self._beat = int(every) / 2e6 if watched else 0.0

    def ready(self, status: str) -> None:
        """The process does its work now; `status` is one line for people."""
        self._tell("READY=1", _status(status))

    def say(self, status: str) -> None:
        """One line for people."""
        self._tell(_status(status))

    async def accompany(self, stop: asyncio.Event, clock: Clock) -> None:
        """Say that the event loop turns, for as long as it does, and once that the end has begun.

        It never returns: it runs beside the process's work. A loop that hangs says nothing, and
        the manager ends and restarts the process.
        """
        async with asyncio.TaskGroup() as group:
            if self._beat > 0:
                group.create_task(self._say_alive(clock))
            await stop.wait()
            self._tell("STOPPING=1", _status("finishing what is under way"))
            await asyncio.Event().wait()

    async def _say_alive(self, clock: Clock) -> None:
        while True:
            self._tell("WATCHDOG=1")
            await clock.sleep(self._beat)

    def _tell(self, *lines: str) -> None:
        if not self._to.startswith(("/", "@")):
            return
        # an abstract one has a zero byte where its name shows @
        to = "\0" + self._to[1:] if self._to.startswith("@") else self._to
        with suppress(OSError, ValueError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.setblocking(False)
            out.sendto("\n".join(lines).encode(), os.fsencode(to))


def _status(text: str) -> str:
    return "STATUS=" + " ".join(text.split())[:200]
