"""Evidence and sessions with short names, for the tests of this folder."""

from typing import Any

from scheduler.recordings.session import Evidence, Reading, Session, Source

NOW = 1_700_000_000.0
SID = "38f8e3cfdc474cd56fc1ceba380d7e1a"
HOST = "api.example"


def session(**known: Any) -> Session:
    """A registered recording that was started at `NOW`."""
    facts: dict[str, Any] = {
        "sid": SID,
        "created_at": NOW,
        "started_at": NOW,
        "app_id": "app",
        "resource_id": "rid",
        "mode": "mix",
        "cname": "room",
        "uid": "527841",
        "registered": True,
    }
    return Session(**(facts | known))


def event(reading: Reading, at: float = NOW, **known: Any) -> Evidence:
    return Evidence(at=at, source=Source.EVENT, reading=reading, **known)


def answer(
    reading: Reading, at: float = NOW, *, host: str = HOST, trusted: bool = True
) -> Evidence:
    """What `query` told."""
    return Evidence(at=at, source=Source.QUERY, reading=reading, host=host, trusted=trusted)


def stop_answer(reading: Reading, at: float = NOW) -> Evidence:
    return Evidence(at=at, source=Source.STOP, reading=reading, host=HOST, trusted=True)
