"""What an emulator is started with."""

import ipaddress
from dataclasses import dataclass, field

from yarl import URL

from agora_sidecar.emulator.faults import Faults

MAX_SPEED = 1000.0
"""Beyond this the vendor's 10 s for an answer would be less than 10 ms."""
LARGEST_PORT = 65_535
NUMBERINGS = ("recording", "module")
"""What `sequence` counts for each worker; the vendor does not say."""


class EmulatorError(Exception):
    """It cannot be started like this; the message is one line for the person who tried."""


class CannotListenError(EmulatorError):
    """The options are fine, the address is not to be had."""


@dataclass(frozen=True, slots=True)
class EmulatorOptions:
    """Values of one emulator; durations are the vendor's seconds and pass `speed` times faster.

    `callback` is where notifications go (empty: nowhere), `sources` the local addresses they may be
    sent from, of which `published` are in use at a time; `rotate_every` moves on to the next ones.
    `numbering` is what `sequence` counts.

    Raises:
        EmulatorError: on a value that cannot work.
    """

    host: str = "127.0.0.1"
    port: int = 0
    callback: str = ""
    secret: str = field(default="emulator-secret", repr=False)
    app_id: str = "emulator-app"
    customer_id: str = "emulator-customer"
    customer_secret: str = field(default="emulator-customer-secret", repr=False)
    speed: float = 1.0
    seed: int = 1
    sources: tuple[str, ...] = ("127.0.0.1",)
    published: int = 2
    rotate_every: float | None = None
    requests_per_second: float = 10.0
    numbering: str = "recording"
    faults: Faults = field(default_factory=Faults)

    def __post_init__(self) -> None:
        for problem in self._problems():
            raise EmulatorError(problem)

    def _problems(self) -> list[str]:
        rules = (
            (_is_address(self.host), f"listen: {self.host!r} is not an IP address"),
            (0 <= self.port <= LARGEST_PORT, f"listen: port {self.port} is not in 0..65535"),
            (
                not self.callback or _is_http(self.callback),
                f"callback: {self.callback!r} is not an http:// or https:// URL with a host",
            ),
            (0 < self.speed <= MAX_SPEED, f"speed: {self.speed} is not in 0 (exclusive) to 1000"),
            (bool(self.sources), "sources: at least one address to send callbacks from"),
            (self.published >= 1, "published: at least one source must be in use"),
            (
                len(set(self.sources)) == len(self.sources),
                "sources: the same address is listed twice",
            ),
            (
                self.rotate_every is None or self.rotate_every > 0,
                "rotate_every: must be more than 0 seconds",
            ),
            (
                self.numbering in NUMBERINGS,
                f"numbering: {self.numbering!r} is not one of {', '.join(NUMBERINGS)}",
            ),
            (self.requests_per_second >= 1, "requests_per_second: must be at least 1"),
            (":" not in self.customer_id, "customer-id: must not contain a colon (Basic auth)"),
        )
        wrong = [f"sources: {a!r} is not an IP address" for a in self.sources if not _is_address(a)]
        empty = [
            f"{name.replace('_', '-')}: must not be empty"
            for name in ("secret", "app_id", "customer_id", "customer_secret")
            if not getattr(self, name)
        ]
        return [text for holds, text in rules if not holds] + wrong + empty


def read_listen(text: str) -> tuple[str, int]:
    """`127.0.0.1:9400` or `[::1]:9400` as address and port.

    Raises:
        EmulatorError: anything else.
    """
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not _is_address(host) or not port.isascii() or not port.isdigit() or len(port) > 5:
        raise EmulatorError(f"listen: {text!r} is not ADDRESS:PORT, such as 127.0.0.1:9400")
    return host, int(port)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_http(text: str) -> bool:
    try:
        url = URL(text)
    except ValueError:
        return False
    return url.scheme in {"http", "https"} and bool(url.host)
