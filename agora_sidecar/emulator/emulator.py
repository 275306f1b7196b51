"""The composition root: one emulated account, listening and calling back."""

import asyncio
import logging

from aiohttp import web

from agora_sidecar.emulator.account import Account
from agora_sidecar.emulator.addresses import AddressPool
from agora_sidecar.emulator.asked import Asked
from agora_sidecar.emulator.backstage import Backstage
from agora_sidecar.emulator.callbacks import ANSWER_WITHIN, Callbacks
from agora_sidecar.emulator.clockwork import Clockwork
from agora_sidecar.emulator.control import Control, Switchboard
from agora_sidecar.emulator.faults import Faults
from agora_sidecar.emulator.gate import Gate
from agora_sidecar.emulator.journal import Journal
from agora_sidecar.emulator.openapi import document
from agora_sidecar.emulator.options import CannotListenError, EmulatorOptions
from agora_sidecar.emulator.pace import Pace
from agora_sidecar.emulator.script import Script
from agora_sidecar.emulator.senders import Destination, Senders
from agora_sidecar.emulator.service import Service
from agora_sidecar.emulator.studio.studio import Studio
from agora_sidecar.process.clock import Clock, SystemClock

QUIET = logging.getLogger("agora_sidecar.emulator.http")
"""aiohttp's word on requests that are no HTTP: a traceback for somebody else's mistake."""
QUIET.disabled = True
MAX_BODY = 1024 * 1024
"""Bytes of a request's body."""
CLOSING = 1.0
"""Seconds (real ones) that open requests have when the emulator is stopped."""


class Emulator:
    """One emulated account. `journal` is the ground truth, `asked` what came in.

    `faults` may be set at any time; `backstage` has hands on the recordings.
    """

    def __init__(self, options: EmulatorOptions, *, clock: Clock | None = None) -> None:
        self.options = options
        self.journal = Journal()
        self.asked = Asked()
        self.script = Script()
        self._switchboard = Switchboard(options.faults)
        self._pace = Pace(clock or SystemClock(), options.speed)
        self._pool = AddressPool(options.sources, published=options.published)
        self._senders = Senders(Destination(options.callback, self._pace.real(ANSWER_WITHIN)))
        self._callbacks = Callbacks(
            secret=options.secret,
            seed=options.seed,
            pace=self._pace,
            journal=self.journal,
            post=self._senders.post if options.callback else None,
            addresses=lambda: self._pool.current,
            faults=self._switchboard.current,
        )
        self._studio = Studio(
            stamp=self._pace.stamp,
            enter=self.journal.add_recording,
            by_module=options.numbering == "module",
        )
        self._clockwork = Clockwork(self._studio, pace=self._pace, tell=self._callbacks.send)
        self.backstage = Backstage(self._studio, pace=self._pace, tell=self._callbacks.send)
        self._runner = web.AppRunner(
            self._application(), access_log=None, logger=QUIET, shutdown_timeout=CLOSING
        )
        self._rotation: asyncio.Task[None] | None = None

    @property
    def faults(self) -> Faults:
        """The faults in force; set them anew with `dataclasses.replace` or `faults.changed`."""
        return self._switchboard.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._switchboard.faults = faults

    @property
    def addresses(self) -> tuple[str, ...]:
        """The source addresses that are published and used now."""
        return self._pool.current

    @property
    def routes(self) -> tuple[web.AbstractRoute, ...]:
        """Every route it serves."""
        return tuple(self._runner.app.router.routes())

    async def start(self) -> str:
        """Listen; the base URL.

        Raises:
            CannotListenError: the address is taken, not ours, or not allowed.
            EmulatorError: this machine cannot send from one of the sources.
        """
        self._senders.open(self.options.sources)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.options.host, self.options.port)
        try:
            await site.start()
        except OSError as error:
            await self.stop()
            where = f"{self.options.host}:{self.options.port}"
            raise CannotListenError(
                f"listen: cannot listen on {where}: {error.strerror}"
            ) from error
        self._clockwork.start()
        if self.options.rotate_every is not None:
            self._rotation = asyncio.create_task(self._rotate_for_ever(self.options.rotate_every))
        host, port = self._runner.addresses[0][:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def stop(self) -> None:
        """End every recording and delivery, answer what waits, close all sockets."""
        if self._rotation is not None:
            self._rotation.cancel()
            await asyncio.gather(self._rotation, return_exceptions=True)
        await self._clockwork.close()
        await self._callbacks.close()
        await self._runner.cleanup()
        await self._senders.close()

    async def rotate_addresses(self) -> tuple[str, ...]:
        """Publish and use the next addresses of the pool, for what is sent from now on."""
        self.journal.rotations += 1
        return self._pool.rotate()

    async def settled(self) -> None:
        """Return when no delivery is under way or scheduled; recordings may still go on."""
        await self._callbacks.settled()

    def set_publisher(self, cname: str, *, present: bool) -> None:
        """Say whether anybody publishes in a channel, now and later; at first, yes."""
        self.backstage.publish(cname, present=present)

    async def _rotate_for_ever(self, every: float) -> None:
        while True:
            await self._pace.sleep(every)
            await self.rotate_addresses()

    def _application(self) -> web.Application:
        options = self.options
        gate = Gate(
            credentials=f"{options.customer_id}:{options.customer_secret}",
            per_second=options.requests_per_second,
            seed=options.seed,
            pace=self._pace,
            asked=self.asked,
            script=self.script,
            faults=self._switchboard.current,
        )
        account = Account(
            app_id=options.app_id,
            seed=options.seed,
            studio=self._studio,
            faults=self._switchboard.current,
        )
        service = Service(
            account,
            clockwork=self._clockwork,
            pace=self._pace,
            pool=self._pool,
            journal=self.journal,
            faults=self._switchboard.current,
        )
        control = Control(
            switchboard=self._switchboard,
            journal=self.journal,
            asked=self.asked,
            script=self.script,
            backstage=self.backstage,
            rotate=self.rotate_addresses,
            check=self._callbacks.check,
            document=lambda: document(options.app_id),
        )
        application = web.Application(middlewares=[gate.middleware()], client_max_size=MAX_BODY)
        application.add_routes([*service.routes(), *control.routes()])
        return application
