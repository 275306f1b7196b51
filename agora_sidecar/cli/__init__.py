"""The command line: one file per command group; the only place that knows both processes."""


def main() -> None:
    """The console script `agora-sidecar`."""
    from agora_sidecar.cli.app import app

    app()
