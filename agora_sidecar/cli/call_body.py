"""What `agora-sidecar call` sends: a file, and what the command line puts over it. Pure."""

import json
from collections.abc import Callable, Iterable
from typing import Any

FRAME = frozenset({"cname", "uid", "clientRequest"})
"""Keys of a whole body; a file with any of them is one, another one is its `clientRequest`."""


class CallError(Exception):
    """What was typed cannot be made a request of."""


def body(
    text: str,
    assignments: Iterable[str],
    *,
    cname: str,
    uid: str,
    read: Callable[[str], str],
) -> dict[str, Any]:
    """The body: from the file's text (empty: none), then from the options.

    `read` gets a file's text, for values written `@FILE`.

    Raises:
        CallError: the text is no JSON object, or an assignment is not `PATH=VALUE`.
    """
    found = _frame(text)
    for name, value in (("cname", cname), ("uid", uid)):
        if value:
            found[name] = value
    request = found.setdefault("clientRequest", {})
    for assignment in assignments:
        path, equals, value = assignment.partition("=")
        if not (equals and path):
            raise CallError(f"--set {assignment}: write PATH=VALUE, as in scene=1")
        _put(request, path.removeprefix("clientRequest.").split("."), _value(value, read))
    return found


def _frame(text: str) -> dict[str, Any]:
    if not text.strip():
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CallError(f"--body: not JSON: {error}") from None
    if not isinstance(value, dict):
        raise CallError("--body: must be a JSON object")
    return value if FRAME & value.keys() else {"clientRequest": value}


def _value(text: str, read: Callable[[str], str]) -> Any:
    """JSON where it is JSON, otherwise the text; `@FILE` is a file's content, as text."""
    if text.startswith("@"):
        return read(text[1:]).removesuffix("\n")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _put(holder: Any, path: list[str], value: Any) -> None:
    *steps, last = path
    for step in steps:
        if not isinstance(holder, dict):
            break
        holder = holder.setdefault(step, {})
    if not isinstance(holder, dict):
        raise CallError(f"--set {'.'.join(path)}: what is there is not an object")
    holder[last] = value
