"""The emulator's own HTTP paths: faults, incidents, publishers, rotation, what happened."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from agora_sidecar.emulator.answers import Refusal
from agora_sidecar.emulator.asked import MAX_CALLS, Asked
from agora_sidecar.emulator.backstage import Backstage, CannotError
from agora_sidecar.emulator.faults import FaultError, Faults, changed, shown
from agora_sidecar.emulator.gate import answer
from agora_sidecar.emulator.journal import Journal
from agora_sidecar.emulator.orders import MAX_REASON
from agora_sidecar.emulator.script import ENDPOINTS, Line, Script


class Switchboard:
    """What holds now and can be changed while the emulator runs."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults

    def current(self) -> Faults:
        """The faults in force."""
        return self.faults


class Event(msgspec.Struct, rename="camel", kw_only=True):
    """An event to be told; `details` in place of the usual ones."""

    event_type: int
    sid: str = ""
    details: dict[str, Any] | None = None


class Control:
    """Handlers under `/emulator/`."""

    def __init__(
        self,
        *,
        switchboard: Switchboard,
        journal: Journal,
        asked: Asked,
        script: Script,
        backstage: Backstage,
        rotate: Callable[[], Awaitable[tuple[str, ...]]],
        check: Callable[[], Awaitable[dict[int, int | None]]],
        document: Callable[[], dict[str, Any]],
    ) -> None:
        self._switchboard = switchboard
        self._journal = journal
        self._asked = asked
        self._script = script
        self._backstage = backstage
        self._rotate = rotate
        self._check = check
        self._document = document

    def routes(self) -> list[web.RouteDef]:
        """Every path."""
        return [
            web.get("/emulator/openapi.json", self.show_document, allow_head=False),
            web.get("/emulator/faults", self.show_faults, allow_head=False),
            web.post("/emulator/faults", self.set_faults),
            web.get("/emulator/journal", self.show_journal, allow_head=False),
            web.get("/emulator/requests", self.show_requests, allow_head=False),
            web.get("/emulator/recordings/{sid}", self.show_recording, allow_head=False),
            web.post("/emulator/recordings/{sid}/failover", self.lose_worker),
            web.post("/emulator/recordings/{sid}/death", self.kill),
            web.post("/emulator/events", self.say),
            web.post("/emulator/script", self.add_line),
            web.delete("/emulator/script", self.clear_script),
            web.post("/emulator/rotate", self.rotate),
            web.post("/emulator/check", self.check),
            web.post("/emulator/publisher", self.set_publisher),
        ]

    async def show_document(self, _: web.Request) -> web.Response:
        """The OpenAPI document of the vendor's paths and these."""
        return answer(self._document())

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

    async def show_requests(self, request: web.Request) -> web.Response:
        """The last calls of the vendor's paths: `?endpoint=start&sid=…&limit=50`."""
        limit = request.query.get("limit", str(MAX_CALLS))
        if not (limit.isascii() and limit.isdigit() and len(limit) <= 9):
            raise _unusable(f"limit: {limit[:32]!r} is not a number of calls")
        found = self._asked.find(
            endpoint=request.query.get("endpoint", ""),
            sid=request.query.get("sid", ""),
            limit=int(limit),
        )
        return answer({"requests": [call.shown() for call in found]})

    async def show_recording(self, request: web.Request) -> web.Response:
        """What was ordered of a recording, what was wished since, what is true now."""
        return answer(_can(lambda: self._backstage.look(request.match_info["sid"])))

    async def lose_worker(self, request: web.Request) -> web.Response:
        """A recording fails over."""
        sid = request.match_info["sid"]
        _can(lambda: self._backstage.lose_worker(sid))
        return answer({"sid": sid})

    async def kill(self, request: web.Request) -> web.Response:
        """A recording dies: `{"death": "storage"}`."""
        death = (await _read_object(request)).get("death")
        if not isinstance(death, str):
            raise _unusable('give {"death": "storage"}')
        sid = request.match_info["sid"]
        _can(lambda: self._backstage.kill(sid, death))
        return answer({"sid": sid, "death": death})

    async def say(self, request: web.Request) -> web.Response:
        """An event is told: `{"eventType": 60, "sid": "…", "details": {…}}`."""
        wish = await _read_object(request)
        try:
            event = msgspec.convert(wish, Event)
        except msgspec.ValidationError as error:
            raise _unusable(f'{error}; give {{"eventType": 60, "sid": "…"}}') from None
        _can(lambda: self._backstage.say(event.event_type, sid=event.sid, details=event.details))
        return answer({"eventType": event.event_type})

    async def add_line(self, request: web.Request) -> web.Response:
        """An answer word for word: `{"endpoint": "query", "status": 503, "body": "<html>"}`."""
        wish = await _read_object(request)
        try:
            line = msgspec.convert(wish, Line)
        except msgspec.ValidationError as error:
            raise _unusable(f"{error}"[:MAX_REASON]) from None
        if line.endpoint not in ENDPOINTS:
            raise _unusable(f"endpoint: not one of {', '.join(ENDPOINTS)}")
        self._script.add(line)
        return answer({"endpoint": line.endpoint, "times": line.times})

    async def clear_script(self, _: web.Request) -> web.Response:
        """Nothing is answered word for word any more."""
        self._script.clear()
        return answer({})

    async def rotate(self, _: web.Request) -> web.Response:
        """Move on to the next source addresses."""
        return answer({"addresses": await self._rotate()})

    async def check(self, _: web.Request) -> web.Response:
        """The console's check: one test event of each type; the HTTP statuses answered."""
        return answer({"answers": {str(n): status for n, status in (await self._check()).items()}})

    async def set_publisher(self, request: web.Request) -> web.Response:
        """Whether anybody publishes in a channel: `{"cname": "room1", "present": false}`."""
        wish = await _read_object(request)
        cname, present = wish.get("cname"), wish.get("present")
        if not isinstance(cname, str) or not isinstance(present, bool):
            raise _unusable('give {"cname": "room1", "present": false}')
        self._backstage.publish(cname, present=present)
        return answer({"cname": cname, "present": present})


def _can(do: Callable[[], Any]) -> Any:
    try:
        return do()
    except CannotError as error:
        raise _unusable(str(error)) from None


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
