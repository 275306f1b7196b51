"""Whether an authentic delivery came from an address of the vendor's, and what follows from it."""

from typing import Literal

import structlog
from aiohttp import web

from receiver.client_address import TrustedProxies
from receiver.listed import AddressList, Hints
from receiver.metrics import ReceiverMetrics

log = structlog.get_logger()

Policy = Literal["off", "observe", "enforce"]


class Visitors:
    """Looks at who delivered. Only called for what was verified: nobody else causes a hint.

    Where nobody has published a list, nobody is refused: the signature was right. A client that
    cannot be known while there is a list is refused with `enforce`, or a forged header would get
    round it.
    """

    def __init__(
        self,
        proxies: TrustedProxies,
        addresses: AddressList,
        hints: Hints,
        *,
        policy: Policy,
        metrics: ReceiverMetrics,
    ) -> None:
        self._proxies = proxies
        self._addresses = addresses
        self._hints = hints
        self._policy = policy
        self._metrics = metrics

    def admits(self, request: web.BaseRequest, source: str) -> bool:
        """Whether this delivery may go on."""
        if self._policy == "off":
            return True
        address = self._proxies.client_address(request.remote, request.headers)
        verdict = self._addresses.verdict(address)
        self._metrics.delivered_by(verdict).inc()
        self._hints.count(verdict)
        # A private address is a proxy that nobody declared: the vendor has not moved
        worth_a_hint = address and (address.is_global or self._addresses.has_private)
        if (
            verdict == "unlisted"
            and address
            and worth_a_hint
            and self._hints.offer(address, source)
        ):
            log.warning("client.unlisted", address=str(address), source=source)
        if self._policy == "observe" or not self._addresses.ready:
            return True
        return verdict == "listed"
