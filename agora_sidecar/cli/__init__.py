"""The command line: one file per command group; the only place that knows both processes."""

import sys
from types import ModuleType
from typing import cast

PROCESSES = frozenset({"receiver", "scheduler", "up"})
"""Commands that run for months."""


def main() -> None:
    """The console script `agora-sidecar`."""
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    if wanted in PROCESSES:
        _import_structlog()
        _import_aiohttp()
    from agora_sidecar.cli.app import application

    application(wanted)()


def _import_structlog() -> None:
    """Without rich, which it imports wherever that is installed, for colours no process shows.

    3 MiB and a tenth of the start. None tells it that there is none; whoever imports it later
    (the command line, for --help and refusals) finds it.
    """
    sys.modules["rich"] = cast("ModuleType", None)
    try:
        import structlog  # noqa: F401
    finally:
        del sys.modules["rich"]


def _import_aiohttp() -> None:
    """Without the certificates that it reads when imported, for a client no process uses: 2 MiB.

    Should that client ever be used after all, it trusts nobody: it is refused, not deceived.
    """
    import ssl

    reading = ssl.SSLContext.set_default_verify_paths
    ssl.SSLContext.set_default_verify_paths = lambda _: None  # type: ignore[assignment, method-assign]
    try:
        import aiohttp  # noqa: F401
    finally:
        ssl.SSLContext.set_default_verify_paths = reading  # type: ignore[method-assign]
