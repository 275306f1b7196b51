"""Resource ids: one per acquire, for one start within 5 minutes (pure).

Source: the Cloud Recording RESTful API reference, acquire; codes 432 and 433 from the vendor's
`common-errors.md` of 2023.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

import msgspec

from agora_sidecar.emulator.answers import (
    expired_resource,
    other_resource,
    unknown_resource,
)

LIFETIME = 300.0
"""Seconds in which a resource id must be used."""
MAX_RESOURCES = 10_000
"""Given out and remembered; the oldest is forgotten first, so that nobody can fill the memory."""


@dataclass(slots=True)
class Resource:
    """One resource id and what it is bound to; `digest` is of its `startParameter`, or empty.

    `sid` is what was started with it.
    """

    cname: str
    uid: str
    expires: float
    scene: int = 0
    hours: int = 72
    digest: bytes = b""
    sid: str = ""


class Resources:
    """All resource ids; `now` counts the vendor's seconds."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Resource] = OrderedDict()

    def add(self, resource_id: str, resource: Resource) -> None:
        """Give out a resource id."""
        self._known[resource_id] = resource
        if len(self._known) > MAX_RESOURCES:
            self._known.popitem(last=False)

    def find(self, resource_id: str, *, cname: str, uid: str) -> Resource:
        """The resource of a channel and a uid.

        Raises:
            Refusal: unknown (1001) or bound to others (432).
        """
        resource = self._known.get(resource_id)
        if resource is None:
            raise unknown_resource()
        if (resource.cname, resource.uid) != (cname, uid):
            raise other_resource()
        return resource


def digest(value: object) -> bytes:
    """The same for two JSON values that are equal, whatever the order of their keys."""
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).digest()


def demand_fresh(resource: Resource, now: float) -> None:
    """Refuse a start that comes too late.

    Raises:
        Refusal: 433.
    """
    if now >= resource.expires:
        raise expired_resource()
