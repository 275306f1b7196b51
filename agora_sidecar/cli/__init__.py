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
        # structlog and typer import rich wherever it is installed: 3 MiB and a tenth of the start
        # for colours that a process never shows. None tells them that it is not.
        sys.modules["rich"] = cast("ModuleType", None)
    from agora_sidecar.cli.app import application

    application(wanted)()
