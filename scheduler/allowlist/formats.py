"""How a list of addresses stands in a file: plain, JSON, nginx, HAProxy, a template. Pure.

Every text bears our mark in one of its first lines, names at least one address, and is read back
by rendering what was found in it once more: what differs from that was edited by somebody else.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from scheduler.allowlist.addresses import Address, in_order

MARK = "written by agora-sidecar"
"""In one of the first two lines of every file of ours."""
COMMENT = f"# {MARK}; changes are overwritten"
DENY_ALL = "deny all;"
"""Without it nginx lets everybody in who is not named."""

_TOKEN = re.compile(r"[0-9A-Fa-f:.]+")
_NAME = re.compile(r"\$\$\{|\$\{(\w*)\}")
_FAMILIES = {"address": (4, 6), "address4": (4,), "address6": (6,)}
_FAMILIES |= {name.replace("address", "prefix"): of for name, of in _FAMILIES.items()}
_COMMA = "comma"


class FormatError(Exception):
    """A template that cannot be used, or a text that would not say what it should."""


@dataclass(frozen=True, slots=True)
class Format:
    """One way to write a list; `fixed` holds the addresses that stand in every text of it."""

    name: str
    lines: Callable[[Sequence[Address]], Iterable[str]]
    last: str = ""
    fixed: frozenset[tuple[Address, int]] = frozenset()

    def write(self, addresses: Iterable[Address]) -> str:
        """The text that admits these, and nobody else.

        Raises:
            FormatError: it would not: nobody is named, or somebody is missing, or the end is.
        """
        wanted = in_order(addresses)
        text = "\n".join(self.lines(wanted)) + "\n"
        if not wanted or set(self.read(text)) != set(wanted):
            raise FormatError("refused: the text would not name every address of the list")
        if self.last and not text.endswith(f"\n{self.last}\n"):
            raise FormatError(f"refused: the text would not end with {self.last}")
        if not is_ours(text):
            raise FormatError(f'refused: "{MARK}" is in neither of the first two lines')
        return text

    def read(self, text: str) -> list[Address]:
        """The addresses a text names, besides those that stand in every text of this format."""
        found = Counter(_addresses(text))
        found.subtract(dict(self.fixed))
        return [address for address, count in found.items() if count > 0]

    def is_whole(self, text: str) -> bool:
        """Whether it is exactly what we would write for the addresses in it."""
        try:
            return self.write(self.read(text)) == text
        except FormatError:
            return False


def is_ours(text: str) -> bool:
    """Whether a text bears our mark."""
    return any(MARK in line for line in text.splitlines()[:2])


def from_template(text: str) -> Format:
    """The format that a template describes; docs/targets.md says how one is written.

    Raises:
        FormatError: it names what is not known, no address at all, or bears no mark.
    """
    lines = text.splitlines()
    names = {name for line in lines for name in _names(line)}
    if unknown := names - _FAMILIES.keys() - {_COMMA}:
        known = ", ".join(f"${{{name}}}" for name in (*_FAMILIES, _COMMA))
        raise FormatError(f"the template names ${{{min(unknown)}}}; known are {known}")
    if not names & _FAMILIES.keys():
        raise FormatError("the template has no line with ${address} or ${prefix}")
    if not is_ours(text):
        raise FormatError(
            f'the template needs "{MARK}" in one of its first two lines, as a comment'
        )
    fixed = "\n".join(line for line in lines if not _repeats(line))
    return Format(
        "template",
        lambda addresses: [text for line in lines for text in _filled(line, addresses)],
        fixed=frozenset(Counter(_addresses(fixed)).items()),
    )


def _plain(addresses: Sequence[Address]) -> Iterable[str]:
    return [COMMENT, *map(str, addresses)]


def _nginx(addresses: Sequence[Address]) -> Iterable[str]:
    return [COMMENT, *(f"allow {address};" for address in addresses), DENY_ALL]


def _json(addresses: Sequence[Address]) -> Iterable[str]:
    value = {"comment": COMMENT.removeprefix("# "), "addresses": [str(a) for a in addresses]}
    return [json.dumps(value, indent=2)]


FORMATS = {
    "plain": Format("plain", _plain),
    "haproxy": Format("haproxy", _plain),
    "nginx": Format("nginx", _nginx, last=DENY_ALL),
    "json": Format("json", _json),
}
"""Those that need no template."""


def _addresses(text: str) -> Iterator[Address]:
    for token in _TOKEN.findall(text):
        try:
            yield ip_address(token)
        except ValueError:
            continue


def _names(line: str) -> list[str]:
    return [found[1] for found in _NAME.finditer(line) if found[1] is not None]


def _repeats(line: str) -> bool:
    return any(name in _FAMILIES for name in _names(line))


def _filled(line: str, addresses: Sequence[Address]) -> Iterator[str]:
    """The line as often as there are addresses of its families; once where it names none."""
    versions = [set(_FAMILIES[name]) for name in _names(line) if name in _FAMILIES]
    if not versions:
        yield _NAME.sub(lambda found: "${" if found[1] is None else "", line)
        return
    wanted = [a for a in addresses if all(a.version in version for version in versions)]
    for number, address in enumerate(wanted, start=1):
        values = {name: str(address) for name in _FAMILIES}
        values |= {n: f"{address}/{address.max_prefixlen}" for n in values if n.startswith("p")}
        values[_COMMA] = "," if number < len(wanted) else ""
        yield _NAME.sub(lambda found, v=values: "${" if found[1] is None else v[found[1]], line)  # type: ignore[misc]
