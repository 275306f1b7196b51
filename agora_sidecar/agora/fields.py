"""One field of the vendor's JSON: its value where it has the documented type, otherwise nothing.

Shared by what reads details and answers. Nothing here raises.
"""

from collections.abc import Mapping
from typing import Any

MAX_NUMBER = 2**63 - 1
"""What a reader in any language can hold; what is beyond it is no number of the vendor's."""


def text(value: Any) -> str:
    """A String, otherwise empty."""
    return value if isinstance(value, str) else ""


def number(value: Any) -> int | None:
    """A whole Number of at most 64 bits; `true` is none."""
    return value if type(value) is int and -MAX_NUMBER <= value <= MAX_NUMBER else None


def flag(value: Any) -> bool | None:
    """A Boolean; older pages show it as a String."""
    spelled = {"true": True, "false": False}.get(value) if isinstance(value, str) else value
    return spelled if isinstance(spelled, bool) else None


def uid(value: Any) -> str:
    """A uid as text: a String almost everywhere, a Number in `session_failover`."""
    return str(value) if number(value) is not None else text(value)


def mapping(value: Any) -> Mapping[str, Any]:
    """An Object, otherwise empty."""
    return value if isinstance(value, Mapping) else {}
