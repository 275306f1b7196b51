"""Whether many recordings turned 404 at once: then it is rather the vendor than the recordings."""

LEAST = 5
"""Fewer recordings asked within the window say nothing about all of them."""


class Wave:
    """Remembers for `window` seconds whom we asked, and who turned from working to 404."""

    def __init__(self, *, window: float) -> None:
        self._window = window
        self._asked: dict[str, float] = {}
        self._turned: dict[str, float] = {}

    def note(self, sid: str, *, at: float, turned: bool) -> None:
        """Recording `sid` was asked; `turned`: it was taken for working and now is a 404."""
        self._asked[sid] = at
        if turned:
            self._turned[sid] = at

    def is_on(self, now: float) -> bool:
        """More than half of at least five recordings turned 404 within the window.

        One that turned longer ago and is asked again and again counts as asked alone.
        """
        self._asked = self._recent(self._asked, now)
        self._turned = self._recent(self._turned, now)
        return len(self._asked) >= LEAST and len(self._turned) * 2 > len(self._asked)

    def _recent(self, noted: dict[str, float], now: float) -> dict[str, float]:
        return {sid: at for sid, at in noted.items() if now - at <= self._window}
