"""The emulator's own HTTP paths: faults, publishers, rotation, the journal. For whoever runs it."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from agora_sidecar.emulator.answers import Refusal
from agora_sidecar.emulator.faults import FaultError, Faults, changed, shown
from agora_sidecar.emulator.gate import answer
from agora_sidecar.emulator.journal import Journal


class Switchboard:
    """What holds now and can be changed while the emulator runs."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults

    def current(self) -> Faults:
        """The faults in force."""
        return self.faults


class Control:
    """Handlers under `/emulator/`."""

    def __init__(
        self,
        *,
        switchboard: Switchboard,
        journal: Journal,
        publish: Callable[..., None],
        rotate: Callable[[], Awaitable[tuple[str, ...]]],
    ) -> None:
        self._switchboard = switchboard
        self._journal = journal
        self._publish = publish
        self._rotate = rotate

    def routes(self) -> list[web.RouteDef]:
        """Every path."""
        return [
            web.get("/emulator/faults", self.show_faults, allow_head=False),
            web.post("/emulator/faults", self.set_faults),
            web.get("/emulator/journal", self.show_journal, allow_head=False),
            web.post("/emulator/rotate", self.rotate),
            web.post("/emulator/publisher", self.set_publisher),
        ]

    async def show_faults(self, _: web.Request) -> web.Response:
        """The faults in force."""
        return answer(shown(self._switchboard.faults))

    async def set_faults(self, request: web.Request) -> web.Response:
        """Some faults set anew: `{"lose": 0.1}`."""
        changes = await _read_object(request)
        try:
            self._switchboard.faults = changed(self._switchboard.faults, changes)
        except FaultError as error:
            raise _unusable(str(error)) from None
        return answer(shown(self._switchboard.faults))

    async def show_journal(self, _: web.Request) -> web.Response:
        """What was sent, and how every recording really is."""
        return answer(self._journal.summary())

    async def rotate(self, _: web.Request) -> web.Response:
        """Move on to the next source addresses."""
        return answer({"addresses": await self._rotate()})

    async def set_publisher(self, request: web.Request) -> web.Response:
        """Whether anybody publishes in a channel: `{"cname": "room1", "present": false}`."""
        wish = await _read_object(request)
        cname, present = wish.get("cname"), wish.get("present")
        if not isinstance(cname, str) or not isinstance(present, bool):
            raise _unusable('give {"cname": "room1", "present": false}')
        self._publish(cname, present=present)
        return answer({"cname": cname, "present": present})


async def _read_object(request: web.Request) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(await request.read())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _unusable("body: not valid JSON; give an object") from None
    if not isinstance(value, dict):
        raise _unusable("body: must be a JSON object")
    return value


def _unusable(error: str) -> Refusal:
    return Refusal(400, {"error": error})
