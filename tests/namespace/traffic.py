"""Run in a namespace of its own: connects from given addresses until its input ends, and counts.

`listed` connect, read a greeting and close, again and again; `held` keep one connection each and
send over it; `strangers` only knock. Failures are counted, not explained: nothing is to fail.
"""

import json
import socket
import struct
import sys
import threading
import time
from collections import Counter
from typing import Any

LINGER = struct.pack("ii", 1, 0)
"""Closed by a reset: no port is kept waiting."""
PATIENCE = 5.0


class Counted:
    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, what: str) -> None:
        with self._lock:
            self._counts[what] += 1

    def all(self) -> dict[str, int]:
        return dict(self._counts)


def opened(source: str, to: tuple[str, int], patience: float) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in source else socket.AF_INET)
    made.settimeout(patience)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
    try:
        made.bind((source, 0))
        made.connect(to)
    except BaseException:
        made.close()
        raise
    return made


def listed(source: str, to: tuple[str, int], stop: threading.Event, counted: Counted) -> None:
    while not stop.is_set():
        began = time.monotonic()
        try:
            with opened(source, to, PATIENCE) as connection:
                good = connection.recv(1) == b"h"
        except OSError:
            good = False
        counted.add("connected" if good else "failed")
        if time.monotonic() - began > 0.9:  # a lost SYN is sent again after a second
            counted.add("slow")


def held(source: str, to: tuple[str, int], stop: threading.Event, counted: Counted) -> None:
    try:
        with opened(source, to, PATIENCE) as connection:
            connection.recv(1)
            while not stop.is_set():
                connection.sendall(b"x")
                if connection.recv(1) != b"x":
                    raise OSError("closed")
                counted.add("echoed")
                time.sleep(0.002)
    except OSError:
        counted.add("broken")


def stranger(source: str, to: tuple[str, int], stop: threading.Event, counted: Counted) -> None:
    while not stop.is_set():
        counted.add("knocked")
        try:
            with opened(source, to, 0.02):
                counted.add("entered")
        except OSError:
            continue


def main(what: dict[str, Any]) -> None:
    stop, counted, threads = threading.Event(), Counted(), []
    for name, work in (("listed", listed), ("held", held), ("strangers", stranger)):
        for source in what.get(name, ()):
            to = (what["to6" if ":" in source else "to4"], what["port"])
            threads.append(threading.Thread(target=work, args=(source, to, stop, counted)))
    for thread in threads:
        thread.start()
    print("begun", flush=True)  # noqa: T201 - read by who started this
    sys.stdin.read()
    stop.set()
    for thread in threads:
        thread.join()
    print(json.dumps(counted.all()), flush=True)  # noqa: T201 - read by who started this


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
