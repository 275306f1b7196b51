"""The vendor's address list: says what it is told to."""

import json

from agora_sidecar.agora.errors import RetryLaterError


class AddressList:
    """Satisfies what the source asks; answers per path, an exception is raised."""

    def __init__(self, *addresses: str, hosts: tuple[str, ...] = ("one",)) -> None:
        self.hosts = hosts
        self.asked: list[str] = []
        self.bodies: dict[str, bytes | Exception] = {}
        self.say(*addresses)

    def say(self, *addresses: object) -> None:
        hosts = [{"primaryIP": address} for address in addresses]
        self.answer(json.dumps({"data": {"service": {"hosts": hosts}}}).encode())

    def answer(self, body: bytes) -> None:
        self.default: bytes | Exception = body

    def fail(self) -> None:
        self.default = RetryLaterError("ncs_ip", reason="told to fail")

    async def address_list(self, path: str, *, avoid: str = "") -> tuple[str, bytes]:
        self.asked.append(path)
        body = self.bodies.get(path, self.default)
        if isinstance(body, Exception):
            raise body
        return next((host for host in self.hosts if host != avoid), self.hosts[0]), body
