"""Several machines on one: network namespaces joined by veth pairs, and real-looking addresses.

The test itself runs in the first one, where the packet filter under test is. Nothing leaves.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

TRAFFIC = Path(__file__).with_name("traffic.py")
_numbers = count(1)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def nft(*words: str) -> str:
    return subprocess.run(["nft", *words], check=True, capture_output=True, text=True).stdout


def load(text: str) -> None:
    subprocess.run(["nft", "-f", "-"], check=True, input=text, text=True)


@dataclass
class Machine:
    """Another namespace, joined with ours; `near` and `far` are the two ends' addresses."""

    near: tuple[str, str]
    far: tuple[str, str]
    holder: "subprocess.Popen[bytes]" = field(init=False)
    link: str = field(init=False)

    def __post_init__(self) -> None:
        self.holder = subprocess.Popen(["unshare", "--net", "sleep", "600"])
        number = next(_numbers)
        self.link, other = f"near{number}", f"far{number}"
        self._wait_until_it_has_its_own()
        ip("link", "add", self.link, "type", "veth", "peer", "name", other)
        ip("link", "set", other, "netns", str(self.holder.pid))
        _configure((), self.link, self.near)
        _configure(self.enter, other, self.far)
        self.run("ip", "link", "set", "lo", "up")
        for version, near, far in zip(("-4", "-6"), self.near, self.far, strict=True):
            ip(version, "route", "replace", f"{far}/{_bits(far)}", "dev", self.link)
            self.run("ip", version, "route", "replace", f"{near}/{_bits(near)}", "dev", other)
            self.run("ip", version, "route", "replace", "default", "via", near, "dev", other)
        self.other = other

    @property
    def enter(self) -> tuple[str, ...]:
        return ("nsenter", "--target", str(self.holder.pid), "--net")

    def run(self, *words: str) -> None:
        subprocess.run([*self.enter, *words], check=True, capture_output=True)

    def has(self, *addresses: str) -> None:
        """It has these addresses too, and we know the way."""
        for address in addresses:
            version = "-6" if ":" in address else "-4"
            nodad = ("nodad",) if ":" in address else ()
            place = f"{address}/{_bits(address)}"
            self.run("ip", version, "address", "add", place, "dev", self.other, *nodad)
            ip(version, "route", "replace", place, "dev", self.link)

    def traffic(self, **what: Any) -> "Traffic":
        """Connections from there, until `stop`; see traffic.py."""
        return Traffic(self.enter, what)

    def stop(self) -> None:
        self.holder.kill()
        self.holder.wait()
        subprocess.run(["ip", "link", "delete", self.link], check=False, capture_output=True)

    def _wait_until_it_has_its_own(self) -> None:
        ours = Path("/proc/self/ns/net").readlink()
        for _ in range(500):
            try:
                if Path(f"/proc/{self.holder.pid}/ns/net").readlink() != ours:
                    return
            except OSError:
                pass
            subprocess.run(["sleep", "0.01"], check=True)
        raise TimeoutError("unshare gave no namespace")


class Traffic:
    """A process in another namespace that connects; `stop` returns what it counted."""

    def __init__(self, enter: Sequence[str], what: dict[str, Any]) -> None:
        self._process = subprocess.Popen(
            [*enter, sys.executable, str(TRAFFIC), json.dumps(what)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "begun\n"

    def stop(self) -> dict[str, int]:
        output, _ = self._process.communicate("", timeout=30)
        found: dict[str, int] = json.loads(output)
        return found


@contextmanager
def machine(near: tuple[str, str], far: tuple[str, str]) -> Iterator[Machine]:
    found = Machine(near, far)
    try:
        yield found
    finally:
        found.stop()


def _configure(enter: Sequence[str], device: str, addresses: Sequence[str]) -> None:
    def run(*words: str) -> None:
        subprocess.run([*enter, "ip", *words], check=True, capture_output=True)

    for address in addresses:
        nodad = ("nodad",) if ":" in address else ()
        run("address", "add", f"{address}/{_bits(address)}", "dev", device, *nodad)
    run("link", "set", device, "up")


def _bits(address: str) -> int:
    return 128 if ":" in address else 32
