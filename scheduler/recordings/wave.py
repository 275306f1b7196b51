"""Whether many recordings turned 404 at once: then it is rather the vendor than the recordings."""

LEAST = 5
"""Fewer recordings asked within the window say nothing about all of them."""


class Wave:
    """Remembers for `window` seconds whom we asked, and who turned from working to 404."""

    def __init__(self, *, window: float) -> None:
        self._window = window
        self._asked: dict[str, tuple[float, bool]] = {}

    def note(self, sid: str, *, at: float, turned: bool) -> None:
        """Recording `sid` was asked; `turned`: it was taken for working and now is a 404."""
        _, before = self._asked.get(sid, (at, False))
        self._asked[sid] = (at, turned or before)

    def is_on(self, now: float) -> bool:
        """More than half of at least five recordings turned 404 within the window."""
        self._asked = {
            sid: (at, turned)
            for sid, (at, turned) in self._asked.items()
            if now - at <= self._window
        }
        turned = sum(turned for _, turned in self._asked.values())
        return len(self._asked) >= LEAST and turned * 2 > len(self._asked)
