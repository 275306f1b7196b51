"""The command line: one file per command group; the only place that knows both processes."""

import sys


def main() -> None:
    """The console script `agora-sidecar`."""
    from agora_sidecar.cli.app import application

    application(sys.argv[1] if len(sys.argv) > 1 else "")()
