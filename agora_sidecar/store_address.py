"""What a store's address says: one server, Sentinels that know the master, or a Cluster. Pure.

The errors name the rule and the cure, and nothing of the address: what stands in the wrong place
may be a part of its password.
"""

import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

Kind = Literal["server", "sentinel", "cluster"]

_SCHEMES: dict[str, tuple[Kind, str]] = {
    "redis": ("server", "redis"),
    "rediss": ("server", "rediss"),
    "unix": ("server", "unix"),
    "redis+sentinel": ("sentinel", "redis"),
    "rediss+sentinel": ("sentinel", "rediss"),
    "redis+cluster": ("cluster", "redis"),
    "rediss+cluster": ("cluster", "rediss"),
}
_PORTS: dict[Kind, int] = {"server": 6379, "sentinel": 26379, "cluster": 6379}
_TLS = ("ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_keyfile")
_PARAMETERS: dict[Kind, tuple[str, ...]] = {
    "server": ("client_name", "db", "password", "username", *_TLS),
    "sentinel": ("client_name", "sentinel_password", "sentinel_username", *_TLS),
    "cluster": ("client_name", *_TLS),
}
_MASTER = re.compile(r"/([A-Za-z0-9._-]+)(?:/([0-9]{1,5}))?/?")
_DATABASE = re.compile(r"(/[0-9]{0,5})?")

_FORM = (
    "must be redis://, rediss:// (TLS), unix://, redis+sentinel:// or redis+cluster:// "
    "(both with TLS as rediss+…)"
)
_ENCODE = "; special characters of a password are written in percent, such as %40 for @"
_WHERE: dict[Kind, str] = {
    "server": "must say where Redis is, such as redis://127.0.0.1:6379/0",
    "sentinel": "must name the Sentinels, such as redis+sentinel://h1:26379,h2:26379/mymaster",
    "cluster": "must name nodes of the Cluster, such as redis+cluster://h1:6379,h2:6379",
}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a store is.

    `url` is what the driver reads: login, database, TLS and its options; of Sentinel and Cluster
    its host means nothing, `hosts` are theirs. `master` and the logins are those of Sentinels.
    """

    kind: Kind
    url: str = field(repr=False)
    hosts: tuple[tuple[str, int], ...] = ()
    master: str = ""
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)


def read_address(url: str) -> Address:
    """What this address says.

    Raises:
        ValueError: it says nothing that can be connected to; the text says what it must be.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError(_FORM + _ENCODE) from None
    if parts.scheme not in _SCHEMES:
        raise ValueError(_FORM)
    kind, scheme = _SCHEMES[parts.scheme]
    parameters = _parameters(kind, parts)
    if scheme == "unix":
        if not parts.path:
            raise ValueError("must name the server's socket, such as unix:///run/redis.sock")
        return Address(kind, url)
    hosts = _hosts(kind, parts)
    master, path = _path(kind, parts.path)
    login, at, _ = parts.netloc.rpartition("@")
    logins = {name: parameters.pop(name, None) for name in _SENTINEL_LOGIN}
    host, port = hosts[0]
    place = f"[{host}]" if ":" in host else host
    plain = SplitResult(scheme, f"{login}{at}{place}:{port}", path, urlencode(parameters), "")
    return Address(kind, plain.geturl(), hosts, master, **logins)


_SENTINEL_LOGIN = ("sentinel_username", "sentinel_password")


def _parameters(kind: Kind, parts: SplitResult) -> dict[str, str]:
    found = dict(parse_qsl(parts.query, keep_blank_values=True))
    if parts.fragment or set(found) - set(_PARAMETERS[kind]):
        known = ", ".join(_PARAMETERS[kind])
        raise ValueError(f"must have no parameters but {known}{_ENCODE}")
    if not found.get("db", "0").isdecimal():
        raise ValueError("must have a number as its parameter db, such as db=0")
    return found


def _hosts(kind: Kind, parts: SplitResult) -> tuple[tuple[str, int], ...]:
    names = parts.netloc.rpartition("@")[2].split(",")
    if kind == "server" and len(names) > 1:
        raise ValueError("must name one server; several are redis+sentinel:// or redis+cluster://")
    return tuple(_host(kind, name) for name in names)


def _host(kind: Kind, name: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{name}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = "", 0
    if port == 0:
        raise ValueError(f"must be a Redis address with a port from 1 to 65535{_ENCODE}")
    if not host:
        raise ValueError(_WHERE[kind])
    return unquote(host), port or _PORTS[kind]


def _path(kind: Kind, path: str) -> tuple[str, str]:
    """The master's name, and the path that says the database."""
    if kind == "sentinel":
        found = _MASTER.fullmatch(path)
        if found is None:
            raise ValueError(
                "must end in the master's name and, if it is not 0, its database: "
                "redis+sentinel://h1:26379,h2:26379/mymaster/0"
            )
        return found[1], f"/{found[2] or 0}"
    if kind == "cluster" and path.strip("/0"):
        raise ValueError("must end after the nodes: a Cluster has no databases but 0")
    if _DATABASE.fullmatch(path) is None:
        raise ValueError(f"must end in the database's number, such as /0{_ENCODE}")
    return "", "" if kind == "cluster" else path
