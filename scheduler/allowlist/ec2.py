"""EC2's API: one call at a time in a thread, bounded in time, errors by their codes.

boto3 is an extra and imported at the first call. It finds credentials and region by itself: the
instance's or the pod's role, `AWS_…` variables, `~/.aws`. Objects that this account cannot see, and
objects that are gone, look alike.
"""

import asyncio
import re
from collections.abc import Iterable, Mapping
from threading import Lock
from typing import Any

from scheduler.allowlist.addresses import Address
from scheduler.allowlist.group_rules import MARK

CONNECT_TIMEOUT, READ_TIMEOUT = 3.0, 8.0
"""Seconds for one attempt of a call."""
ATTEMPTS = 3
"""Of one call: throttling, a connection that breaks, 5xx. boto3 waits longer before each."""
MAX_PAGES = 50
"""Of one answer; a list has one."""
ALLOWED, DENIED = "DryRunOperation", "UnauthorizedOperation"

_connecting = Lock()
_EPOCH = re.compile(rf"{MARK} epoch=(\d{{1,18}})\b")


class Ec2Error(Exception):
    """A call that failed; `code` is EC2's word for it, or one of ours."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message[:300]}")
        self.code = code


class Ec2:
    """The API of one region; `endpoint` is where it is, empty for the usual place."""

    def __init__(self, *, region: str = "", endpoint: str = "") -> None:
        self._region = region
        self._endpoint = endpoint
        self._client: Any = None
        self._turn = asyncio.Lock()

    async def call(self, operation: str, **parameters: Any) -> Mapping[str, Any]:
        """The answer to one operation, named as boto3 does. Raises Ec2Error."""
        async with self._turn:
            return await asyncio.to_thread(self._call, operation, parameters)

    async def pages(self, operation: str, key: str, **parameters: Any) -> list[Mapping[str, Any]]:
        """All items of an answer that comes in pages. Raises Ec2Error."""
        found: list[Mapping[str, Any]] = []
        for _ in range(MAX_PAGES):
            answer = await self.call(operation, **parameters)
            found += answer.get(key, ())
            if not answer.get("NextToken"):
                return found
            parameters["NextToken"] = answer["NextToken"]
        raise Ec2Error("TooLong", f"{operation} answers with more than {MAX_PAGES} pages")

    async def may(self, operation: str, **parameters: Any) -> bool:
        """Whether we would be allowed to; nothing is changed. Raises Ec2Error: unknown."""
        try:
            await self.call(operation, DryRun=True, **parameters)
        except Ec2Error as error:
            if error.code in {ALLOWED, DENIED}:
                return error.code == ALLOWED
            raise
        raise Ec2Error("NoDryRun", f"{operation} was not rehearsed")

    def _call(self, operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            import botocore.exceptions as failures
        except ImportError as error:
            raise Ec2Error("NotInstalled", "install the extra: agora-sidecar[aws]") from error
        try:
            if self._client is None:
                self._client = self._connected()
            answer: Mapping[str, Any] = getattr(self._client, operation)(**parameters)
        except failures.ClientError as error:
            said = error.response.get("Error", {})
            raise Ec2Error(said.get("Code", "Unknown"), said.get("Message", "")) from error
        except failures.BotoCoreError as error:
            raise Ec2Error(type(error).__name__, str(error)) from error
        return answer

    def _connected(self) -> Any:
        import boto3
        from botocore.config import Config

        config = Config(
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            user_agent_extra=MARK,
        )
        with _connecting:  # boto3's own session is shared, so that its large tables are read once
            return boto3.client(
                "ec2",
                region_name=self._region or None,
                endpoint_url=self._endpoint or None,
                config=config,
            )


def description(*, plan: str, epoch: int) -> str:
    """What is written at everything of ours: whose it is, which leader wrote it, and why."""
    return f"{MARK} epoch={epoch} plan={plan}" if plan else MARK


def newest_epoch(descriptions: Iterable[str]) -> int:
    """The fence of the last leader that wrote any of these; 0 if none says."""
    found = (_EPOCH.match(text) for text in descriptions)
    return max((int(match[1]) for match in found if match), default=0)


def cidr(address: Address) -> str:
    """As EC2 writes one address."""
    return f"{address}/{address.max_prefixlen}"
