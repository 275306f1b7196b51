"""Reads a systemd unit: a key may stand several times, an empty value forgets the earlier ones."""

from pathlib import Path

FOLDER = Path(__file__).parents[2] / "deploy" / "systemd"
PROCESSES = ("receiver", "scheduler")


def unit(process: str) -> Path:
    return FOLDER / f"agora-sidecar-{process}.service"


def socket_unit(process: str) -> Path:
    return FOLDER / f"agora-sidecar-{process}.socket"


def settings(process: str, section: str = "Service") -> dict[str, list[str]]:
    """The values of each key of a section of the process's service, or of its socket."""
    found: dict[str, list[str]] = {}
    current = ""
    file = socket_unit(process) if section == "Socket" else unit(process)
    for line in file.read_text().splitlines():
        if line.startswith("["):
            current = line.strip("[]")
        elif current == section and line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found[key] = [*found.get(key, []), value] if value else []
    return found
