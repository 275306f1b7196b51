"""Which of the API's hosts is asked first. Pure: `now` is monotonic seconds.

Docs-Source `shared/common/_switch-domain-name.mdx`: another domain is asked when one does not
answer. The first configured one is home: the nearest, so it is returned to.
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

HOME_AFTER = 60.0
"""Seconds after which the first host is asked first again."""


class Hosts:
    """The base URLs in the configured order, but the one that works in front."""

    def __init__(self, base_urls: Sequence[str]) -> None:
        self._urls = tuple(dict.fromkeys(_plain(url) for url in base_urls))
        self._first = 0
        self._left_home = 0.0

    def order(self, now: float, *, avoid: str = "") -> tuple[str, ...]:
        """The base URLs in the order in which a call that begins now asks them; `avoid` last."""
        if now - self._left_home >= HOME_AFTER:
            self._first = 0
        others = (url for number, url in enumerate(self._urls) if number != self._first)
        asked = (self._urls[self._first], *others) if self._urls else ()
        return tuple(sorted(asked, key=lambda url: host_name(url) == avoid)) if avoid else asked

    def settle(self, url: str, *, asked: Sequence[str], now: float) -> str | None:
        """Note that `url` answered a call that asked in this order.

        The base URL that is left for it, or None: a call that asked in an older order says nothing
        about the host that others have moved to meanwhile.
        """
        if url == asked[0] or asked[0] != self._urls[self._first]:
            return None
        self._first = self._urls.index(url)
        self._left_home = now
        return asked[0]


def host_name(url: str) -> str:
    """Host and port of one of these base URLs, as logs and errors name it."""
    return urlsplit(url).netloc


def _plain(url: str) -> str:
    """No slash at its end, and no credentials: the client has its own, and logs show URLs."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}".rstrip("/")
