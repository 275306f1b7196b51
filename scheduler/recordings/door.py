"""Who may come in: a known `Host`, a token where one is configured, and no page in a browser. Pure.

Answers only whether a request is one of theirs; each door's own refusals have its own shape.
"""

import base64
import binascii
import hmac
from collections.abc import Collection, Mapping
from enum import Enum
from urllib.parse import urlsplit

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
WILDCARDS = frozenset({"0.0.0.0", "::"})


class Refused(Enum):
    """Why somebody is not let in."""

    HOST = "not served under this Host"
    PAGE = "not served to pages"
    NO_TOKEN = "a token is required"  # noqa: S105 - says that one is missing
    WRONG_TOKEN = "this token is not accepted"  # noqa: S105


class Door:
    """Lets in who asks under a known name and shows the token.

    `token` empty: nobody has to show one (only for loopback). `allowed_hosts`: names or addresses,
    without ports, under which this may be asked besides loopback's. Where a token is demanded and
    every address is listened on, any name will do: no page in a browser knows the token.
    """

    def __init__(self, *, token: str = "", allowed_hosts: Collection[str] = ()) -> None:
        hosts = LOOPBACK | {host.lower().strip("[]") for host in allowed_hosts}
        self._hosts = None if token and hosts & WILDCARDS else hosts
        self._token = token

    def refuses(self, headers: Mapping[str, str]) -> Refused | None:
        """Why not; None for whoever may come in."""
        if self._hosts is not None and _host(headers.get("Host", "")) not in self._hosts:
            return Refused.HOST
        shown = headers.get("Authorization", "")
        if self._token and not _shows(shown, self._token):
            return Refused.WRONG_TOKEN if shown else Refused.NO_TOKEN
        if "Origin" in headers or headers.get("Sec-Fetch-Site", "none") != "none":
            return Refused.PAGE
        return None


def _host(header: str) -> str:
    try:
        return (urlsplit(f"//{header}").hostname or "").lower()
    except ValueError:
        return ""


def _shows(authorization: str, token: str) -> bool:
    """Whether the header shows the token, as Bearer or as the Basic password."""
    scheme, _, given = authorization.partition(" ")
    if scheme.lower() == "basic":
        try:
            pair = base64.b64decode(given.strip(), validate=True).decode()
        except (binascii.Error, ValueError):
            return False
        given = pair.partition(":")[2]
    elif scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(given.strip().encode(errors="replace"), token.encode())
