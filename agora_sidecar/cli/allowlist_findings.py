"""What the doctor makes of the allow-list: orders, what is held, whether to enforce. Pure."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from agora_sidecar.cli.findings import Finding

ABOUT = "allow-list"


def of_orders(snapshot: Mapping[str, Any]) -> Iterator[Finding]:
    """What the operator ordered and still holds, and what waits for a word."""
    if frozen := snapshot["frozen"]:
        text = f"is frozen{': ' if frozen['why'] else ''}{frozen['why']}; targets are left alone"
        yield Finding(ABOUT, "problem", text, "`agora-sidecar allowlist unfreeze`, once you may")
    if snapshot["openUntil"]:
        cure = "`agora-sidecar allowlist close` ends it before its time"
        yield Finding(ABOUT, "problem", "everybody is let in for a time", cure)
    if held := snapshot["held"]:
        text = f"{len(held['addresses'])} addresses wait: {held['why']}"
        cure = f"Look at them; `agora-sidecar allowlist apply --accept-plan {held['plan']}`"
        yield Finding(ABOUT, "problem", text, cure)


def of_enforcing(reasons: Sequence[str], *, modes: Collection[str]) -> Iterator[Finding]:
    """Whether the packet filter may drop; `modes` are those of the nftables targets."""
    if not modes:
        return
    if not reasons:
        yield Finding(ABOUT, "ok", "enforcing is safe")
        return
    for reason in reasons:
        if "enforce" in modes:
            cure = "See `allowlist status`; until it is clear, mode = observe loses nothing"
            yield Finding(ABOUT, "warning", f"enforcing, and {reason}", cure)
        else:
            cure = "Stay with mode = observe until this is gone"
            yield Finding(ABOUT, "warning", f"not safe to enforce yet: {reason}", cure)


def of_filter(target: str, *, text: str, cure: str, harmful: bool) -> Finding:
    """What others do in the packet filter against this target."""
    return Finding(ABOUT, "problem" if harmful else "ok", f"{target}: {text}", cure)
